"""Mirror Gradient: now and then a step forward is followed by a step back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from flatrec.data.pairing import Pairing
from flatrec.strategies.base import Strategy
from flatrec.strategies.context import BatchT, StepContext
from flatrec.strategies.state import remembered_number


@dataclass(kw_only=True, eq=False)
class MirrorGradient(Strategy):
    """Mirror Gradient (Zhong et al., WWW 2024, https://arxiv.org/abs/2402.11262).

    At every beta-th batch: a base step with alpha1 grad L at Theta, then a base step with -alpha2 grad L of the same
    batch at the point it led to; the other batches are plain. The signs are those of the method's Theorem 1 and of its
    release (eq. 5 of the BSAM paper prints plus-minus). alpha1 = 1 and alpha2 = 0 is plain training under SGD without
    momentum; a base optimizer with memory takes the second step all the same.

    Both steps of a batch go to the base optimizer, which counts them as two; clipping applies to each. Where the second
    gradient is not finite, the first of the two stays. The two steps
    do not share their dropout noise: they are two updates.

    Args:
        alpha1: factor of the step forward.
        alpha2: factor of the step back.
        beta: batches between two such pairs of steps, at least 1.

    Example:
        >>> MirrorGradient(alpha1=1.0, alpha2=0.1, beta=3).beta
        3

    Raises:
        ValueError: beta is out of range.
    """

    INTERVAL: ClassVar[str] = "beta"

    alpha1: float = 1.0
    alpha2: float = 0.2
    beta: int = 3
    steps: int = remembered_number()

    def __post_init__(self) -> None:
        if self.beta < 1:
            raise ValueError(f"beta must be at least 1, but is {self.beta}")

    def take_step(self, learner: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """One update, or two; reports the loss before them."""
        (batch,) = batches
        (loss,), (gradient,) = learner.gradients(batch)
        self.steps += 1
        if self.steps % self.beta != 0:
            learner.update(gradient)
            return loss
        learner.update(torch._foreach_mul(list(gradient), self.alpha1))
        _, (there,) = learner.gradients(batch)
        learner.update(torch._foreach_mul(list(there), -self.alpha2))
        return loss

    @property
    def gradients_per_step(self) -> float:
        """One, and one more at every beta-th batch."""
        return 1 + 1 / self.beta

    @property
    def pairing(self) -> Pairing:
        """Of no account: one batch a step."""
        return "passes"

    def take_diagnostics(self) -> dict[str, float]:
        """Nothing is watched."""
        return {}
