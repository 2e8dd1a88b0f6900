"""FisherSAM: ascent in the metric of the Fisher information."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flatrec.ops.param_vector import Vector, dot, norm, times
from flatrec.strategies.base import Perturbation, SAMStrategy


@dataclass(kw_only=True, eq=False)
class FisherSAM(SAMStrategy):
    """Fisher SAM (Kim et al., ICML 2022, https://arxiv.org/abs/2206.04920).

    F^-1 = 1 / (1 + eta g^2) entry by entry, the damped inverse of the diagonal Fisher information that one batch
    estimates; eps = rho F^-1 g / sqrt(g' F^-1 g) over all parameters at once; then a base step with the gradient at
    Theta + eps. eta = 0 is SAM.

    The mean over the batch stands for the per-sample gradients that the Fisher information is defined by, as in the
    paper. There is no release; of two public rewritings one normalizes tensor by tensor, which the paper does not.

    Args:
        eta: weight of the Fisher information against the identity, at least 0.

    Example:
        >>> FisherSAM(rho=0.1, eta=0.5).eta
        0.5

    Raises:
        ValueError: a setting is out of range.
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.eta >= 0:
            raise ValueError(f"eta must be at least 0, but is {self.eta}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the natural gradient; its length is measured by the Fisher information."""
        damping = times(gradient, gradient)
        torch._foreach_mul_(damping, self.eta)
        torch._foreach_add_(damping, 1)
        direction = list(torch._foreach_div(list(gradient), damping))
        return Perturbation(direction, dot(gradient, direction).sqrt(), norm(direction))

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there
