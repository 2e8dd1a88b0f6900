"""GSAM: lowers the perturbed loss, and the gap between it and the loss at the current parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.param_vector import Vector, dot, plus_scaled
from flatrec.ops.scalars import quotient
from flatrec.strategies.base import Gradients
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, euclidean_perturbation
from flatrec.utils.ranges import NonNegativeFloat


@dataclass(kw_only=True, eq=False)
class GSAM(SAMStrategy):
    """Surrogate-gap guided SAM (Zhuang et al., ICLR 2022, https://arxiv.org/abs/2203.08065).

    eps as in SAM; with h the gradient at Theta and p that at Theta + eps, the base optimizer gets p - alpha h_v, where
    h_v = h - (<h, p> / ||p||^2) p is the component of h orthogonal to p. alpha = 0 is SAM. The paper lets rho follow
    the learning rate; here ``rho_schedule`` says how it changes.

    Args:
        alpha: weight of the gap between the two losses.

    Example:
        >>> GSAM(rho=0.1, alpha=0.2).alpha
        0.2

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    alpha: NonNegativeFloat = 0.1

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient."""
        return euclidean_perturbation(point.grad)

    def combine(self, gradients: Gradients) -> Vector:
        """The perturbed gradient less alpha times the component of the other one that is orthogonal to it."""
        grad, perturbed_grad = gradients
        square = dot(perturbed_grad, perturbed_grad)
        scaled = plus_scaled(perturbed_grad, perturbed_grad, self.alpha * quotient(dot(grad, perturbed_grad), square))
        return plus_scaled(scaled, grad, -self.alpha)
