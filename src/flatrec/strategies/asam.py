"""ASAM: ascent in a metric that follows the size of each parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.foreach import foreach
from flatrec.ops.param_vector import norm, times
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy
from flatrec.utils.ranges import NonNegativeFloat


@dataclass(kw_only=True, eq=False)
class ASAM(SAMStrategy):
    """Adaptive SAM (Kwon et al., ICML 2021, https://arxiv.org/abs/2102.11600).

    T = |Theta| + eta entry by entry; eps = rho T^2 g / ||T g||_2, so that ||eps / T|| = rho; then a base step with the
    gradient at Theta + eps. All parameters are rescaled; the release leaves out those whose name lacks "weight", which
    most models here do not have.

    Args:
        eta: constant added to the size of each parameter, so that parameters near zero move too. The paper's radius of
            0.5 is measured in this metric; do not compare it with a radius of SAM.

    Example:
        >>> ASAM(rho=0.5, eta=0.01).eta
        0.01

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    eta: NonNegativeFloat = 0.01

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient, rescaled twice; its length is that of the gradient rescaled once."""
        scales = foreach("add_", foreach("abs", point.params), self.eta)
        direction = times(scales, point.grad)
        length = norm(direction)
        foreach("mul_", direction, scales)
        return Perturbation(direction, length, norm(direction))
