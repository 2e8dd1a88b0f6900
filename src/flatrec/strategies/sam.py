"""SAM: the gradient at the point of steepest ascent within the radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, euclidean_perturbation


@dataclass(kw_only=True, eq=False)
class SAM(SAMStrategy):
    """Sharpness-aware minimization (Foret et al., ICLR 2021, https://arxiv.org/abs/2010.01412).

    eps = rho g / ||g||_2, g the gradient of the batch; then a base step with the gradient at Theta + eps (eq. 7
    and 8 of the BSAM paper, which writes the gradient of all data in eq. 7; the method's own paper and every
    implementation take the batch's).

    Example:
        >>> SAM(rho=0.05, interval=2).gradients_per_step
        1.5
    """

    SEPARABLE: ClassVar[bool] = True

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient."""
        return euclidean_perturbation(point.grad)
