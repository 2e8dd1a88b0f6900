"""Mirror Gradient: at some steps a step forward is followed by a step back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flatrec.ops.param_vector import times
from flatrec.strategies.base import Strategy
from flatrec.strategies.context import BatchT, StepContext
from flatrec.strategies.state import state_count
from flatrec.utils.checked_settings import FiniteFloat
from flatrec.utils.ranges import PositiveInt


@dataclass(kw_only=True, eq=False)
class MirrorGradient(Strategy):
    """Mirror Gradient (Zhong et al., WWW 2024, https://arxiv.org/abs/2402.11262).

    At every interval-th batch (the paper calls the interval beta): a base step with alpha1 grad L at Theta, then a base
    step with -alpha2 grad L of the same batch at the point it led to; the other batches are plain. The signs are those
    of the method's Theorem 1 and of its release (eq. 5 of the BSAM paper prints plus-minus). alpha1 = 1 and alpha2 = 0
    is plain training under SGD without momentum; a base optimizer with memory takes the second step all the same.

    Both steps of a batch go to the base optimizer, which counts them as two; clipping applies to each. If the second
    gradient is not finite, the first of the two steps stays. The two steps do not share their dropout mask: they are
    two updates.

    Args:
        alpha1: factor of the step forward.
        alpha2: factor of the step back.
        interval: every ``interval``-th batch gets both steps; the other batches get one plain step.

    Example:
        >>> MirrorGradient(alpha1=1.0, alpha2=0.1, interval=3).interval
        3

    Raises:
        ValueError: interval is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    alpha1: FiniteFloat = 1.0
    alpha2: FiniteFloat = 0.2
    interval: PositiveInt = 3
    steps: int = state_count()

    def take_step(self, context: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Take one update, or two; reports the loss before them."""
        (batch,) = batches
        (loss,), (gradient,) = context.gradients(batch)
        self.steps += 1
        if self.steps % self.interval != 0:
            context.update(gradient)
            return loss
        context.update(times(gradient, self.alpha1))
        _, (second_gradient,) = context.gradients(batch)
        context.update(times(second_gradient, -self.alpha2))
        return loss

    @property
    def gradients_per_step(self) -> float:
        """One gradient, and a second one at every interval-th batch."""
        return 1 + 1 / self.interval
