"""What a training strategy is, and what those that perturb the parameters have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor

from flatrec.data.pairing import Pairing
from flatrec.strategies.learning import BatchT, Learning, among
from flatrec.strategies.trace import Trace
from flatrec.strategies.vectors import Vector, cosine, norm, plus_scaled_into, quotient


class Strategy(ABC):
    """One step of training, in the words of its paper."""

    batches_per_step: ClassVar[int] = 1

    @abstractmethod
    def step(self, learner: Learning[BatchT], *batches: BatchT) -> Tensor:
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
    def refined(self, learner: Learning[BatchT], batch: BatchT, gradient: Vector) -> Vector:
        """The gradient that the base optimizer gets, given the batch's gradient at the current parameters."""

    def step(self, learner: Learning[BatchT], *batches: BatchT) -> Tensor:
        """Gradient, refinement, update."""
        (batch,) = batches
        (loss,), (gradient,) = learner.gradients(batch)
        learner.update(self.refined(learner, batch, gradient))
        return loss

    @property
    def pairing(self) -> Pairing:
        """Of no account: one batch a step."""
        return "passes"


class Ascent(NamedTuple):
    """Where a strategy looks for a higher loss.

    Args:
        direction: one tensor a parameter, of any length.
        length: that length in the strategy's own metric, a scalar.
        norm: the Euclidean length over all parameters, a scalar.
        cosine: of the angle to the gradient, a scalar, where it is known already.
    """

    direction: Vector
    length: Tensor
    norm: Tensor
    cosine: Tensor | None = None


def straight(direction: Vector) -> Ascent:
    """The ascent along a direction whose length is the Euclidean one."""
    length = norm(direction)
    return Ascent(direction, length, length)


def held_back(gradient: Vector, mean: Vector, share: float, *, length: Tensor, into: Vector) -> Ascent:
    """The ascent along a gradient of known length, less a share of a mean; ``into`` takes up the direction."""
    own, along = plus_scaled_into(into, gradient, mean, -share)
    return Ascent(into, own, own, quotient(along, own * length))


@dataclass(kw_only=True, eq=False)
class Perturbing(OneBatch):
    """A strategy that looks at the gradient at a point some way up from the current parameters.

    The point is Theta + r * v / |v|, v the strategy's direction and |v| its length in the strategy's metric; all
    perturbed parameters, which are all trainable ones unless the learner says otherwise, count as one vector. v = 0
    gives the current parameters. The radius r is

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
    def ascent(self, values: Vector, gradient: Vector) -> Ascent:
        """Where to look for a higher loss, given the parameters and the batch's gradient. Called at every step."""

    @abstractmethod
    def combined(self, here: Vector, there: Vector) -> Vector:
        """The gradient to descend, given those at the current parameters and at the perturbed point."""

    def refined(self, learner: Learning[BatchT], batch: BatchT, gradient: Vector) -> Vector:
        """What the strategy makes of both gradients, or the one here where this step has no perturbation."""
        values = [learner.params[place].detach() for place in learner.perturbed]
        here = among(learner.perturbed, gradient)
        ascent = self.ascent(values, here)
        self.steps += 1
        radius = self._radius(learner.progress, values)
        if radius == 0 or self.steps % self.interval != 0:
            return gradient
        if here is not gradient:
            self.trace.add("perturbed share of |g1|", norm(here) / norm(gradient))
        self.trace.add("cos(eps, g1)", _alignment(ascent, here))
        if ascent.length == 0:
            return gradient
        with learner.shifted(ascent.direction, float(radius) / float(ascent.length)):
            _, (there,) = learner.gradients(batch)
        return self.combined(gradient, there)

    def take_trace(self) -> dict[str, float]:
        """Mean cos(eps, g1), and whatever else the strategy adds."""
        return self.trace.take()

    def _radius(self, progress: float, values: Vector) -> Tensor | float:
        radius = self.rho / self.steps if self.rho_schedule == "inverse" else self.rho
        if progress < self.rho_warmup:
            radius *= progress / self.rho_warmup
        if radius == 0 or self.rho_scale == "absolute":
            return radius
        return radius * norm(values)


def _alignment(ascent: Ascent, gradient: Vector) -> Tensor:
    """The cosine of ascent and gradient, without a pass over memory where one is the other."""
    if ascent.direction is gradient:
        return (ascent.norm > 0).to(ascent.norm)
    return cosine(ascent.direction, gradient, ascent.norm) if ascent.cosine is None else ascent.cosine
