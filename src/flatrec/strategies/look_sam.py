"""LookSAM: SAM every k-th step, and what it found reused in between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flatrec.strategies.base import OneBatch
from flatrec.strategies.learning import BatchT, Learning, among
from flatrec.strategies.memory import packed, unpacked
from flatrec.strategies.vectors import Vector, dot, norm, plus_scaled


@dataclass(kw_only=True, eq=False)
class LookSAM(OneBatch):
    """LookSAM (Liu et al., CVPR 2022, https://arxiv.org/abs/2203.02714).

    At the first of every ``every`` steps: p, the gradient at Theta + rho g / ||g||, goes to the base optimizer, and its
    part across g, v = p - (<p, g> / ||g||^2) g, is kept. At the others the base optimizer gets
    g + alpha (||g|| / ||v||) v, which costs no second gradient. Norms and inner products are those of all parameters
    at once; other libraries take them tensor by tensor. The layer-wise form of the paper, for very large batches, is
    left out.

    Args:
        rho: the radius, at least 0; 0 is plain training.
        alpha: weight of what is reused, at least 0.
        every: steps from one look to the next, at least 1; 1 is SAM.

    Example:
        >>> LookSAM(rho=0.1, every=5).every
        5

    Raises:
        ValueError: a setting is out of range.
    """

    rho: float = 0.1
    alpha: float = 0.7
    every: int = 5
    steps: int = field(default=0, init=False)
    across: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rho < math.inf or not self.alpha >= 0 or self.every < 1:
            raise ValueError(
                "rho must be finite and at least 0, alpha at least 0 and every at least 1, "
                f"but are {self.rho}, {self.alpha} and {self.every}"
            )

    def refined(self, learner: Learning[BatchT], batch: BatchT, gradient: Vector) -> Vector:
        """The gradient there, or the one here turned towards where the last look found it."""
        looks = self.steps % self.every == 0
        self.steps += 1
        length = norm(gradient)
        up = among(learner.perturbed, gradient)
        reach = length if up is gradient else norm(up)
        if self.rho == 0 or reach == 0:
            return gradient
        if looks:
            with learner.shifted(up, self.rho / float(reach)):
                _, (there,) = learner.gradients(batch)
            self.across = plus_scaled(there, gradient, -dot(there, gradient) / length**2)
            return there
        kept = norm(self.across) if len(self.across) == len(gradient) else torch.zeros_like(length)
        if kept == 0:
            return gradient
        return plus_scaled(gradient, self.across, self.alpha * length / kept)

    def state(self) -> dict[str, Tensor]:
        """The step count and what is reused."""
        return packed(self.steps, across=self.across)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up step count and what is reused."""
        self.steps = int(state["steps"])
        self.across = unpacked(state, "across")

    def take_trace(self) -> dict[str, float]:
        """Nothing is watched."""
        return {}
