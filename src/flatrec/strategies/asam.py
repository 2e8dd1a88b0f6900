"""ASAM: ascent in a metric that follows the size of each parameter."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flatrec.ops.param_vector import Vector, norm, times
from flatrec.strategies.base import Perturbation, SAMStrategy


@dataclass(kw_only=True, eq=False)
class ASAM(SAMStrategy):
    """Adaptive SAM (Kwon et al., ICML 2021, https://arxiv.org/abs/2102.11600).

    T = |Theta| + eta entry by entry; eps = rho T^2 g / ||T g||_2, so that ||eps / T|| = rho; then a base step with the
    gradient at Theta + eps. All parameters are rescaled; the release leaves out those whose name lacks "weight", which
    most models here do not have.

    Args:
        eta: keeps parameters near zero movable, at least 0. The paper's radius, 0.5, is for this metric and not to be
            compared with those of SAM.

    Example:
        >>> ASAM(rho=0.5, eta=0.01).eta
        0.01

    Raises:
        ValueError: a setting is out of range.
    """

    eta: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.eta >= 0:
            raise ValueError(f"eta must be at least 0, but is {self.eta}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:
        """Along the gradient, rescaled twice; its length is that of the gradient rescaled once."""
        scales = list(torch._foreach_abs(list(values)))
        torch._foreach_add_(scales, self.eta)
        once = times(scales, gradient)
        length = norm(once)
        torch._foreach_mul_(once, scales)
        return Perturbation(once, length, norm(once))

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there
