"""LookSAM: SAM at every k-th step, whose result is reused in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flatrec.ops.param_vector import Vector, dot, norm, plus_scaled
from flatrec.ops.scalars import known_zero, quotient
from flatrec.strategies.base import Gradients, Shift, TwoPass, shift_by
from flatrec.strategies.context import StepContext
from flatrec.strategies.state import state_count, state_vector
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


@dataclass(kw_only=True, eq=False)
class LookSAM(TwoPass):
    """LookSAM (Liu et al., CVPR 2022, https://arxiv.org/abs/2203.02714).

    At the first of every ``interval`` steps: p, the gradient at Theta + rho g / ||g||, goes to the base optimizer, and
    its component orthogonal to g, v = p - (<p, g> / ||g||^2) g, is stored. At the other steps the base optimizer gets
    g + alpha (||g|| / ||v||) v, which costs no second gradient. Norms and inner products are those of all parameters
    at once; other libraries take them tensor by tensor. The layer-wise form of the paper, for very large batches, is
    left out.

    Args:
        alpha: weight of the component that is reused.
        interval: every ``interval``-th step computes the second gradient; 1 is SAM.

    Example:
        >>> LookSAM(rho=0.1, interval=5).interval
        5

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    alpha: NonNegativeFloat = 0.7
    interval: PositiveInt = 5
    steps: int = state_count()
    orthogonal: Vector = state_vector(group="trained")

    def choose_point(self, context: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """The perturbed point at every interval-th step, else the gradient plus the stored component."""
        is_due = self.steps % self.interval == 0
        self.steps += 1
        length = norm(gradient)
        direction = context.select_perturbed(gradient)
        direction_length = length if direction is gradient else norm(direction)
        if self.rho == 0 or known_zero(direction_length):
            return gradient
        if is_due:
            return shift_by(direction, self.rho, direction_length)
        if not self.orthogonal or known_zero(stored_length := norm(self.orthogonal)):
            return gradient
        return plus_scaled(gradient, self.orthogonal, quotient(self.alpha * length, stored_length))

    def combine(self, gradients: Gradients) -> Vector:
        """The gradient at the perturbed point; its component orthogonal to the other gradient is stored."""
        grad, perturbed_grad = gradients
        self.orthogonal = plus_scaled(perturbed_grad, grad, quotient(-dot(perturbed_grad, grad), norm(grad) ** 2))
        return perturbed_grad
