"""LookSAM: SAM every k-th step, and what it found reused in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from flatrec.ops.param_vector import Vector, dot, norm, plus_scaled
from flatrec.strategies.base import Shift, TwoPass, shift_by
from flatrec.strategies.context import StepContext, among
from flatrec.strategies.state import remembered_number, remembered_vector


@dataclass(kw_only=True, eq=False)
class LookSAM(TwoPass):
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

    SEARCH_SPACE = {"rho": (0.05, 0.1, 0.15, 0.2)}
    INTERVAL: ClassVar[str] = "every"

    rho: float = 0.1
    alpha: float = 0.7
    every: int = 5
    steps: int = remembered_number()
    across: Vector = remembered_vector(of="trained")

    def __post_init__(self) -> None:
        if not 0 <= self.rho < math.inf or not self.alpha >= 0 or self.every < 1:
            raise ValueError(
                "rho must be finite and at least 0, alpha at least 0 and every at least 1, "
                f"but are {self.rho}, {self.alpha} and {self.every}"
            )

    @property
    def gradients_per_step(self) -> float:
        """One here, and one there at every look."""
        return 1 + 1 / self.every if self.rho > 0 else 1.0

    def look(self, learner: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """Uphill where it is time, or the gradient here turned toward where the last look found it."""
        looks = self.steps % self.every == 0
        self.steps += 1
        length = norm(gradient)
        up = among(learner.perturbed, gradient)
        reach = length if up is gradient else norm(up)
        if self.rho == 0 or reach == 0:
            return gradient
        if looks:
            return shift_by(up, self.rho, float(reach))
        kept = norm(self.across) if self.across else torch.zeros_like(length)
        if kept == 0:
            return gradient
        return plus_scaled(gradient, self.across, self.alpha * length / kept)

    def combine(self, here: Vector, there: Vector) -> Vector:
        """The gradient there; its part across the one here is kept."""
        self.across = plus_scaled(there, here, -dot(there, here) / norm(here) ** 2)
        return there

    def take_diagnostics(self) -> dict[str, float]:
        """Nothing is watched."""
        return {}
