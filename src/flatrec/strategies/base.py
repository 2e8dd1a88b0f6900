"""The base classes of training strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.ops.scalars import Scalar, at_hand, quotient
from flatrec.strategies.context import BatchT, NonFiniteGradientError, StepContext
from flatrec.strategies.second_gradient import SecondGradient
from flatrec.strategies.state import Layout, pack_state, realign_state, reset_state, unpack_state
from flatrec.utils.checked_settings import store_checked_settings
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt

LARGEST_SCALE = torch.finfo(torch.float32).max


class Strategy(ABC):
    """One step of training, in the words of its paper.

    A strategy is best a dataclass, ``@dataclass(kw_only=True, eq=False)``: its fields are its settings, checked against
    their types, and what it keeps from step to step is declared by :func:`flatrec.strategies.state.state_count` and
    ``state_vector``. This class then does the rest: a checkpoint holds the state, :meth:`reset` clears it, a step that
    raises leaves it as it was, and vectors follow the parameters if these change between steps.

    ``SEPARABLE`` says that whatever it adds up over entries passes through :mod:`flatrec.ops.param_vector` and that it
    draws nothing by entry, so that several processes can share the columns of the parameters. A subclass does not
    inherit it.
    """

    batches_per_step: ClassVar[int] = 1
    draws_random_numbers: ClassVar[bool] = False
    SEPARABLE: ClassVar[bool] = False
    SEARCH_SPACE: ClassVar[Mapping[str, tuple[float, ...]]] = {}  # values that sweeps try by default, by setting
    seed: int = 0  # of everything that is drawn
    _layout: Layout | None = None

    def __post_init__(self) -> None:
        store_checked_settings(self)

    @abstractmethod
    def take_step(self, context: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Update the parameters once (or not at all) and return the loss to report, a detached scalar."""

    @property
    @abstractmethod
    def gradients_per_step(self) -> float:
        """Batch gradients that a step takes, on average over many steps."""

    def take_diagnostics(self) -> dict[str, float]:
        """Means of what the strategy measured since the last call, by name; empty if it measures nothing."""
        return {}

    def step(self, context: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Take a step; if it raises, the strategy's state is as before.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """
        with self.attempt(context):
            return self.take_step(context, *batches)

    @contextmanager
    def attempt(self, context: StepContext[Any]) -> Iterator[None]:
        """Context manager for a step; if the step raises, everything that the strategy holds is restored."""
        strategies = [strategy for _, strategy in self._with_wrapped()]
        before = [dict(vars(strategy)) for strategy in strategies]
        try:
            with context.step():
                self._follow_parameters(context)
                yield
        except BaseException:
            for strategy, values in zip(strategies, before, strict=True):
                vars(strategy).clear()
                vars(strategy).update(values)
            raise

    def _follow_parameters(self, context: StepContext[Any]) -> None:
        layout = context.layout
        for _, strategy in self._with_wrapped():
            if strategy._layout is not None and strategy._layout != layout:
                realign_state(strategy, strategy._layout, layout, context.params)
            strategy._layout = layout

    def reset(self, seed: int) -> None:
        """Clear the state, and draw random numbers from this seed from now on."""
        for _, strategy in self._with_wrapped():
            reset_state(strategy)
            strategy._layout, strategy.seed = None, seed

    def state(self) -> dict[str, Tensor]:
        """The state that a checkpoint must hold for training to go on bit for bit."""
        return {
            f"{prefix}{name}": tensor
            for prefix, strategy in self._with_wrapped()
            for name, tensor in pack_state(strategy, strategy._layout).items()
        }

    def load_state(self, state: Mapping[str, Tensor], params: Sequence[Tensor]) -> None:
        """Load what :meth:`state` returned, given every parameter that training began with, in order.

        Raises:
            ValueError: the state is that of another strategy or model; nothing is changed.
        """
        remaining, unpacked = dict(state), []
        for prefix, strategy in reversed(self._with_wrapped()):
            names = [name for name in remaining if name.startswith(prefix)]
            own = {name[len(prefix) :]: remaining.pop(name) for name in names}
            unpacked.append((strategy, unpack_state(strategy, own, params)))
        for strategy, loaded in unpacked:
            vars(strategy).update(loaded.values)
            strategy._layout = loaded.layout

    def _with_wrapped(self) -> list[tuple[str, Strategy]]:
        """This strategy, and with its attribute's name as prefix each strategy that it wraps."""
        wrapped = [(name, inner) for name, inner in vars(self).items() if isinstance(inner, Strategy)]
        return [
            ("", self),
            *((f"{name}.{prefix}", strategy) for name, inner in wrapped for prefix, strategy in inner._with_wrapped()),
        ]


@dataclass(frozen=True, eq=False)
class FirstPass(Generic[BatchT]):
    """A batch with its gradient at the current parameters.

    Args:
        context: what is trained.
        batch: the batch of the step.
        gradient: its gradient, one tensor per trained parameter.
    """

    context: StepContext[BatchT]
    batch: BatchT
    gradient: Vector


class SingleBatchStrategy(Strategy):
    """A strategy that turns the gradient of its one batch into the gradient for the base optimizer.

    Because it ends in a gradient, :class:`flatrec.strategies.mixed.Mixed` can wrap it.
    """

    @abstractmethod
    def transform_gradient(self, first: FirstPass[BatchT]) -> Vector:
        """The gradient that the base optimizer gets."""

    def mixed_gradient(self, first: FirstPass[BatchT], second: SecondGradient[BatchT]) -> Vector:
        """That gradient, mixed with the one of a second batch."""
        return second.mixed_with(self.transform_gradient(first))

    def take_step(self, context: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Compute the gradient, transform it, and update the parameters."""
        (batch,) = batches
        (loss,), (gradient,) = context.gradients(batch)
        context.update(self.transform_gradient(FirstPass(context, batch, gradient)))
        return loss


class Shift(NamedTuple):
    """Where the second gradient is taken: at the perturbed parameters plus ``scale * direction``."""

    direction: Vector
    scale: Scalar


def shift_by(direction: Vector, radius: Scalar, length: Tensor) -> Shift:
    """Return the shift along a direction of a certain length by a radius.

    Where the length is not at hand, a direction of length 0 is a shift by 0, and a shift that is too large is found by
    the context that makes it.

    Raises:
        NonFiniteGradientError: the shift is larger than float32 can hold.
    """
    known_radius, known_length = at_hand(radius), at_hand(length)
    if isinstance(known_radius, Tensor) or isinstance(known_length, Tensor):
        return Shift(direction, quotient(radius, length))
    scale = known_radius / known_length
    if not abs(scale) <= LARGEST_SCALE:
        raise NonFiniteGradientError("the perturbed point lies further away than float32 can hold; lower rho")
    return Shift(direction, scale)


class Gradients(NamedTuple):
    """The two gradients of a batch.

    Args:
        grad: the gradient at the current parameters.
        perturbed_grad: the gradient at the perturbed point.
    """

    grad: Vector
    perturbed_grad: Vector


@dataclass(kw_only=True, eq=False)
class TwoPass(SingleBatchStrategy):
    """A strategy that takes the gradient of its batch, and at some steps a second one at a perturbed point.

    Args:
        rho: the radius, that is the distance of the perturbed point; 0 makes the strategy plain training.
        interval: every ``interval``-th step computes the second gradient; the other steps compute one gradient.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, tuple[float, ...]]] = {"rho": (0.05, 0.1, 0.15, 0.2)}

    rho: NonNegativeFloat = 0.1
    interval: PositiveInt = 1

    @abstractmethod
    def choose_point(self, context: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """Where to take the second gradient; or the gradient for the base optimizer, if this step takes no second."""

    def on_first_pass(self, first: FirstPass[BatchT]) -> None:  # noqa: B027 - optional, hence not abstract
        """Look at the batch before the point is chosen; an optimizer in a user's own loop does not call it."""

    def combine(self, gradients: Gradients) -> Vector:
        """The gradient for the base optimizer, by default the one at the perturbed point."""
        return gradients.perturbed_grad

    @property
    def gradients_per_step(self) -> float:
        """One gradient, and a second one at one of ``interval`` steps."""
        return 1 + 1 / self.interval if self.rho > 0 else 1.0

    def transform_gradient(self, first: FirstPass[BatchT]) -> Vector:
        """The gradient that :meth:`combine` makes of both, or that of a step without a second one."""
        self.on_first_pass(first)
        point = self.choose_point(first.context, first.gradient)
        if not isinstance(point, Shift):
            return point
        with first.context.perturbed(point.direction, point.scale):
            _, (perturbed_grad,) = first.context.gradients(first.batch)
        return self.combine(Gradients(first.gradient, perturbed_grad))

    def mixed_gradient(self, first: FirstPass[BatchT], second: SecondGradient[BatchT]) -> Vector:
        """The same mixed with the gradient of a second batch, in one backward pass where the context can do that."""
        own = type(self)
        if own.combine is not TwoPass.combine or own.transform_gradient is not TwoPass.transform_gradient:
            return super().mixed_gradient(first, second)
        self.on_first_pass(first)
        point = self.choose_point(first.context, first.gradient)
        if not isinstance(point, Shift):
            return second.mixed_with(point)
        with first.context.perturbed(point.direction, point.scale):
            return second.mixed_here(first.batch)
