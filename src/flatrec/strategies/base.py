"""What a training strategy is, and what those that perturb the parameters have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from flatrec.data.batches import Batch, Pairing
from flatrec.strategies.learner import Learner
from flatrec.strategies.trace import Trace
from flatrec.strategies.vectors import Vector, cosine, norm


class Strategy(ABC):
    """One step of training, in the words of its paper."""

    batches_per_step: ClassVar[int] = 1

    @abstractmethod
    def step(self, learner: Learner, *batches: Batch) -> Tensor:
        """Update the parameters once (or not at all) and return the loss to report, a detached scalar."""

    @property
    @abstractmethod
    def pairing(self) -> Pairing:
        """Where the batches of a step come from; of no account with one batch a step."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold for training to go on bit for bit."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up a saved state."""

    @abstractmethod
    def take_trace(self) -> dict[str, float]:
        """Means of what the strategy watched since the last call, by name; empty where it watches nothing."""


class OneBatch(Strategy):
    """A strategy that turns the gradient of its one batch into the gradient for the base optimizer.

    Because it ends in a gradient, :class:`flatrec.strategies.mixed.Mixed` can wrap it.
    """

    @abstractmethod
    def refined(self, learner: Learner, batch: Batch, gradient: Vector) -> Vector:
        """The gradient that the base optimizer gets, given the batch's gradient at the current parameters."""

    def step(self, learner: Learner, *batches: Batch) -> Tensor:
        """Gradient, refinement, update."""
        (batch,) = batches
        (loss,), (gradient,) = learner.gradients(batch)
        learner.update(self.refined(learner, batch, gradient))
        return loss

    @property
    def pairing(self) -> Pairing:
        """Of no account: one batch a step."""
        return "passes"


@dataclass(kw_only=True, eq=False)
class Perturbing(OneBatch):
    """A strategy whose gradient is taken at a point some way up from the current parameters.

    The point is Theta + r * v / ||v||, v the strategy's direction; all trainable parameters count as one vector.
    v = 0 gives the current parameters. The radius r is

    - ``rho`` (``rho_scale="absolute"``) or rho * ||Theta|| (``"relative"``),
    - times 1 (``rho_schedule="constant"``) or 1 / t at the t-th step (``"inverse"``, as in the theorems),
    - times epochs / ``rho_warmup`` while fewer epochs than that have passed (0 for no warm-up).

    Args:
        rho: the radius, at least 0; 0 makes every such strategy plain training.
        rho_schedule: how it changes over steps.
        rho_scale: what it is measured in.
        rho_warmup: epochs over which it grows linearly from 0.
        interval: the perturbation is applied at every interval-th step, at least 1; the other steps are plain.

    Raises:
        ValueError: a setting is out of range.
    """

    rho: float = 0.1
    rho_schedule: Literal["constant", "inverse"] = "constant"
    rho_scale: Literal["absolute", "relative"] = "absolute"
    rho_warmup: float = 0.0
    interval: int = 1
    steps: int = field(default=0, init=False)
    trace: Trace = field(default_factory=Trace, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rho < math.inf or not 0 <= self.rho_warmup < math.inf or self.interval < 1:
            raise ValueError(
                "rho and rho_warmup must be finite and at least 0 and interval at least 1, "
                f"but are {self.rho}, {self.rho_warmup} and {self.interval}"
            )

    @abstractmethod
    def direction(self, gradient: Vector) -> Vector:
        """Where to look for a higher loss, given the batch's gradient; any length. Called at every step."""

    def refined(self, learner: Learner, batch: Batch, gradient: Vector) -> Vector:
        """The gradient of the batch at the perturbed point, or as it is where this step has no perturbation."""
        direction = self.direction(gradient)
        self.steps += 1
        radius = self._radius(learner)
        if radius == 0 or self.steps % self.interval != 0:
            return gradient
        length = norm(direction)
        self.trace.add("cos(eps, g1)", cosine(direction, gradient, length))
        if length == 0:
            return gradient
        with learner.shifted(direction, float(radius) / float(length)):
            _, (there,) = learner.gradients(batch)
        return there

    def take_trace(self) -> dict[str, float]:
        """Mean cos(eps, g1), and whatever else the strategy adds."""
        return self.trace.take()

    def _radius(self, learner: Learner) -> Tensor | float:
        radius = self.rho / self.steps if self.rho_schedule == "inverse" else self.rho
        if learner.progress < self.rho_warmup:
            radius *= learner.progress / self.rho_warmup
        if radius == 0 or self.rho_scale == "absolute":
            return radius
        return radius * norm([one.detach() for one in learner.params])
