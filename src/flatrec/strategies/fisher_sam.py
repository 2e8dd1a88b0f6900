"""FisherSAM: ascent in the metric of the Fisher information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.foreach import foreach
from flatrec.ops.param_vector import dot, norm, times
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy
from flatrec.utils.ranges import NonNegativeFloat


@dataclass(kw_only=True, eq=False)
class FisherSAM(SAMStrategy):
    """Fisher SAM (Kim et al., ICML 2022, https://arxiv.org/abs/2206.04920).

    F^-1 = 1 / (1 + eta g^2) entry by entry, the damped inverse of the diagonal Fisher information that one batch
    estimates; eps = rho F^-1 g / sqrt(g' F^-1 g) over all parameters at once; then a base step with the gradient at
    Theta + eps. eta = 0 is SAM.

    The mean over the batch stands for the per-sample gradients that the Fisher information is defined by, as in the
    paper. There is no release; of two public implementations one normalizes tensor by tensor, which the paper does not.

    Args:
        eta: weight of the Fisher information against the identity.

    Example:
        >>> FisherSAM(rho=0.1, eta=0.5).eta
        0.5

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    eta: NonNegativeFloat = 1.0

    def perturbation(self, point: Point) -> Perturbation:
        """Along the natural gradient; its length is measured by the Fisher information."""
        damping = foreach("add_", foreach("mul_", times(point.grad, point.grad), self.eta), 1.0)
        direction = foreach("div", point.grad, damping)
        return Perturbation(direction, dot(point.grad, direction).sqrt(), norm(direction))
