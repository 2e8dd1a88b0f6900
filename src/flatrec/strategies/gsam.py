"""GSAM: lowers the loss there and, across it, the gap between there and here."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.ops.param_vector import Vector, dot, plus_scaled, quotient
from flatrec.strategies.base import Perturbation, SAMStrategy, euclidean_perturbation


@dataclass(kw_only=True, eq=False)
class GSAM(SAMStrategy):
    """Surrogate-gap guided SAM (Zhuang et al., ICLR 2022, https://arxiv.org/abs/2203.08065).

    eps as in SAM; with h the gradient at Theta and p that at Theta + eps, the base optimizer gets p - alpha h_v, where
    h_v = h - (<h, p> / ||p||^2) p is the part of h across p. alpha = 0 is SAM. The paper lets rho follow the learning
    rate; here ``rho_schedule`` says how it goes.

    Args:
        alpha: weight of the gap, at least 0.

    Example:
        >>> GSAM(rho=0.1, alpha=0.2).alpha
        0.2

    Raises:
        ValueError: a setting is out of range.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.alpha >= 0:
            raise ValueError(f"alpha must be at least 0, but is {self.alpha}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the gradient."""
        return euclidean_perturbation(gradient)

    def combine(self, here: Vector, there: Vector) -> Vector:
        """The gradient there less a share of what the one here has across it."""
        square = dot(there, there)
        along = quotient(dot(here, there), square)
        return plus_scaled(plus_scaled(there, there, self.alpha * along), here, square.new_tensor(-self.alpha))
