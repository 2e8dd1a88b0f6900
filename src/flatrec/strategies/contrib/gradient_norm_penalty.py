"""GNP: the loss plus a penalty on the norm of its gradient."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.ops.param_vector import Vector, blend
from flatrec.strategies.base import Perturbation, SAMStrategy, euclidean_perturbation


@dataclass(kw_only=True, eq=False)
class GradientNormPenalty(SAMStrategy):
    """Penalizing the gradient norm (Zhao et al., ICML 2022, https://arxiv.org/abs/2202.03599).

    eps as in SAM; the base optimizer gets (1 - alpha) times the gradient at Theta plus alpha times that at Theta + eps,
    which is the gradient of L + rho alpha ||grad L|| to first order. alpha = 1 is SAM, 0 plain training.

    Args:
        alpha: weight of the gradient there, in [0, 1].

    Example:
        >>> GradientNormPenalty(rho=0.05, alpha=0.7).alpha
        0.7

    Raises:
        ValueError: a setting is out of range.
    """

    alpha: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must lie in [0, 1], but is {self.alpha}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the gradient."""
        return euclidean_perturbation(gradient)

    def combine(self, here: Vector, there: Vector) -> Vector:
        """Both, mixed."""
        return blend(there, here, self.alpha)
