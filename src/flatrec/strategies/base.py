"""What a training strategy is, and what those that perturb the parameters have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from flatrec.data.pairing import Pairing
from flatrec.ops.param_vector import Vector, cosine, norm, plus_scaled_into, quotient
from flatrec.strategies.context import BatchT, NonFiniteGradientError, StepContext, among
from flatrec.strategies.diagnostics import Diagnostics
from flatrec.strategies.state import Layout, forget, pack_state, realign, remembered_number, unpack_state

LARGEST_SCALE = torch.finfo(torch.float32).max


class Strategy(ABC):
    """One step of training, in the words of its paper.

    A strategy that remembers something from step to step is a dataclass and declares it by
    :func:`flatrec.strategies.state.remembered_number` and ``remembered_vector``. The rest is done here: a checkpoint
    holds it, :meth:`reset` forgets it, a step that raises leaves it as it was, and vectors follow the parameters where
    these change between steps.
    """

    batches_per_step: ClassVar[int] = 1
    SEARCH_SPACE: ClassVar[Mapping[str, tuple[float, ...]]] = {}  # values that sweeps try by default, by setting
    INTERVAL: ClassVar[str] = ""  # the setting that says how rare a step of more than one gradient is; "" for none
    seed: int = 0  # of everything that is drawn
    _layout: Layout | None = None

    @abstractmethod
    def take_step(self, learner: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Update the parameters once (or not at all) and return the loss to report, a detached scalar."""

    @property
    @abstractmethod
    def gradients_per_step(self) -> float:
        """Batch gradients that a step takes, on average over many steps."""

    @property
    @abstractmethod
    def pairing(self) -> Pairing:
        """Where the batches of a step come from; of no account with one batch a step."""

    @abstractmethod
    def take_diagnostics(self) -> dict[str, float]:
        """Means of what the strategy watched since the last call, by name; empty where it watches nothing."""

    def step(self, learner: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Take a step; where it raises, what is remembered is as before.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        with self.attempt(learner):
            return self.take_step(learner, *batches)

    @contextmanager
    def attempt(self, learner: StepContext[Any]) -> Iterator[None]:
        """A step happens inside; if it raises, everything that the strategy holds is put back."""
        family = [one for _, one in self._family()]
        before = [dict(vars(one)) for one in family]
        try:
            self._follow(learner)
            yield
        except BaseException:
            for one, values in zip(family, before, strict=True):
                vars(one).clear()
                vars(one).update(values)
            raise

    def _follow(self, learner: StepContext[Any]) -> None:
        numbers = learner.numbers
        layout = Layout(tuple(numbers), tuple(numbers[place] for place in learner.perturbed))
        for _, one in self._family():
            if one._layout is not None and one._layout != layout:
                realign(one, one._layout, layout, learner.params)
            one._layout = layout

    def reset(self, seed: int) -> None:
        """Forget everything, and draw from this seed from now on."""
        for _, one in self._family():
            forget(one)
            one._layout, one.seed = None, seed

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold for training to go on bit for bit."""
        return {
            f"{prefix}{name}": part
            for prefix, one in self._family()
            for name, part in pack_state(one, one._layout).items()
        }

    def load_state(self, state: Mapping[str, Tensor], params: Sequence[Tensor]) -> None:
        """Take up a saved state.

        Args:
            state: what :meth:`state` gave.
            params: every parameter that training began with, in order.

        Raises:
            ValueError: it is that of another strategy or model; nothing is changed.
        """
        left, found = dict(state), []
        for prefix, one in reversed(self._family()):
            own = {name: left.pop(name) for name in list(left) if name.startswith(prefix)}
            found.append((one, unpack_state(one, {name[len(prefix) :]: part for name, part in own.items()}, params)))
        for one, loaded in found:
            vars(one).update(loaded.values)
            one._layout = loaded.layout

    def _family(self) -> list[tuple[str, Strategy]]:
        """This one, and behind its attribute's name each that it wraps."""
        wrapped = [(name, one) for name, one in vars(self).items() if isinstance(one, Strategy)]
        return [("", self), *((f"{name}.{rest}", one) for name, held in wrapped for rest, one in held._family())]


class SingleBatchStrategy(Strategy):
    """A strategy that turns the gradient of its one batch into the gradient for the base optimizer.

    Because it ends in a gradient, :class:`flatrec.strategies.mixed.Mixed` can wrap it.
    """

    @abstractmethod
    def transform_gradient(self, learner: StepContext[BatchT], batch: BatchT, gradient: Vector) -> Vector:
        """The gradient that the base optimizer gets, given the batch's gradient at the current parameters."""

    def take_step(self, learner: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Gradient, refinement, update."""
        (batch,) = batches
        (loss,), (gradient,) = learner.gradients(batch)
        learner.update(self.transform_gradient(learner, batch, gradient))
        return loss

    @property
    def pairing(self) -> Pairing:
        """Of no account: one batch a step."""
        return "passes"


class Shift(NamedTuple):
    """Where the second gradient is taken: the perturbed parameters moved by ``scale * direction``."""

    direction: Vector
    scale: float


def shift_by(direction: Vector, radius: float, length: float) -> Shift:
    """The point at a radius along a direction of some length.

    Raises:
        NonFiniteGradientError: no float32 can say how far that is.
    """
    scale = radius / length
    if not abs(scale) <= LARGEST_SCALE:
        raise NonFiniteGradientError("the perturbed point lies further away than float32 can say; lower rho")
    return Shift(direction, scale)


class TwoPass(SingleBatchStrategy):
    """A strategy that looks at the gradient of its batch here, and then perhaps at another point."""

    @abstractmethod
    def look(self, learner: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """Where to take the second gradient; or what the base optimizer gets, where this step takes none."""

    @abstractmethod
    def combine(self, here: Vector, there: Vector) -> Vector:
        """The gradient to descend, given those at the current parameters and at the other point."""

    def transform_gradient(self, learner: StepContext[BatchT], batch: BatchT, gradient: Vector) -> Vector:
        """What the strategy makes of both gradients, or the one here where this step takes no other."""
        found = self.look(learner, gradient)
        if not isinstance(found, Shift):
            return found
        with learner.shifted(found.direction, found.scale):
            _, (there,) = learner.gradients(batch)
        return self.combine(gradient, there)


class Perturbation(NamedTuple):
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


def euclidean_perturbation(direction: Vector) -> Perturbation:
    """The ascent along a direction whose length is the Euclidean one."""
    length = norm(direction)
    return Perturbation(direction, length, length)


def subtract_scaled_mean(gradient: Vector, mean: Vector, share: float, *, length: Tensor, into: Vector) -> Perturbation:
    """The ascent along a gradient of known length, less a share of a mean; ``into`` takes up the direction."""
    own, along = plus_scaled_into(into, gradient, mean, -share)
    return Perturbation(into, own, own, quotient(along, own * length))


@dataclass(kw_only=True, eq=False)
class SAMStrategy(TwoPass):
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

    SEARCH_SPACE: ClassVar[Mapping[str, tuple[float, ...]]] = {"rho": (0.05, 0.1, 0.15, 0.2)}
    INTERVAL: ClassVar[str] = "interval"

    rho: float = 0.1
    rho_schedule: Literal["constant", "inverse"] = "constant"
    rho_scale: Literal["absolute", "relative"] = "absolute"
    rho_warmup: float = 0.0
    interval: int = 1
    steps: int = remembered_number()
    trace: Diagnostics = field(default_factory=Diagnostics, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rho < math.inf or not 0 <= self.rho_warmup < math.inf or self.interval < 1:
            raise ValueError(
                "rho and rho_warmup must be finite and at least 0 and interval at least 1, "
                f"but are {self.rho}, {self.rho_warmup} and {self.interval}"
            )
        if self.rho_schedule not in ("constant", "inverse") or self.rho_scale not in ("absolute", "relative"):
            raise ValueError(
                "rho_schedule must be constant or inverse and rho_scale absolute or relative, "
                f"but are {self.rho_schedule!r} and {self.rho_scale!r}"
            )

    @abstractmethod
    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:
        """Where to look for a higher loss, given the parameters and the batch's gradient. Called at every step."""

    @property
    def gradients_per_step(self) -> float:
        """One here, and one there at every interval-th step."""
        return 1 + 1 / self.interval if self.rho > 0 else 1.0

    def look(self, learner: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """At the perturbed point, or the gradient here where this step has no perturbation."""
        values = [learner.params[place].detach() for place in learner.perturbed]
        here = among(learner.perturbed, gradient)
        perturbation = self.perturbation(values, here)
        self.steps += 1
        radius = self._radius(learner.progress, values)
        if radius == 0 or self.steps % self.interval != 0:
            return gradient
        if here is not gradient:
            self.trace.add("perturbed share of |g1|", norm(here) / norm(gradient))
        self.trace.add("cos(eps, g1)", _alignment(perturbation, here))
        if perturbation.length == 0:
            return gradient
        return shift_by(perturbation.direction, float(radius), float(perturbation.length))

    def take_diagnostics(self) -> dict[str, float]:
        """Mean cos(eps, g1), and whatever else the strategy adds."""
        return self.trace.take()

    def _radius(self, progress: float, values: Vector) -> Tensor | float:
        radius = self.rho / self.steps if self.rho_schedule == "inverse" else self.rho
        if progress < self.rho_warmup:
            radius *= progress / self.rho_warmup
        if radius == 0 or self.rho_scale == "absolute":
            return radius
        return radius * norm(values)


def _alignment(perturbation: Perturbation, gradient: Vector) -> Tensor:
    """The cosine of ascent and gradient, without a pass over memory where one is the other."""
    if perturbation.direction is gradient:
        return (perturbation.norm > 0).to(perturbation.norm)
    return (
        cosine(perturbation.direction, gradient, perturbation.norm)
        if perturbation.cosine is None
        else perturbation.cosine
    )
