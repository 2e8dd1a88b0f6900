"""The gradient of a second batch, which is mixed with another gradient at the end of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, runtime_checkable

from torch import Tensor

from flatrec.ops.param_vector import Vector, lerp_
from flatrec.strategies.context import BatchIn, BatchT, StepContext


@runtime_checkable
class SecondGradient(Protocol[BatchIn]):
    """The gradient of a second batch at the parameters of a step, and its share in a mixture."""

    def mixed_with(self, gradient: Vector) -> Vector:
        """The mixture with a gradient, once."""

    def mixed_here(self, batch: BatchIn) -> Vector:
        """The mixture with the gradient of a batch at the parameters as they are now, which may be perturbed, once.

        Raises:
            NonFiniteGradientError: the loss or gradient of that batch is NaN or infinite.
        """


@dataclass(frozen=True, eq=False)
class FirstAndSecond(Generic[BatchT]):
    """What a step knows of its two batches at the current parameters.

    Args:
        loss: the loss of the first batch.
        gradient: its gradient.
        second: the gradient of the second batch.
    """

    loss: Tensor
    gradient: Vector
    second: SecondGradient[BatchT]


@runtime_checkable
class MergesBackward(Protocol[BatchT]):
    """A step context that may compute the gradient of a second batch in the same backward pass as another one."""

    def first_and_second(self, first: BatchT, second: BatchT, kappa: float) -> FirstAndSecond[BatchT]:
        """What a step knows of its two batches; in the mixture, another gradient has weight ``kappa``.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """


@dataclass(frozen=True, eq=False)
class KnownGradient(Generic[BatchT]):
    """A second gradient that is computed already; its memory is used for the mixture.

    Args:
        context: what is trained.
        gradient: the gradient of the second batch.
        kappa: weight of the other gradient in the mixture.
    """

    context: StepContext[BatchT]
    gradient: Vector
    kappa: float

    def mixed_with(self, gradient: Vector) -> Vector:
        """The mixture with a gradient, once."""
        lerp_(self.gradient, gradient, self.kappa)
        return self.gradient

    def mixed_here(self, batch: BatchT) -> Vector:
        """The mixture with the gradient of a batch at the parameters as they are now, once.

        Raises:
            NonFiniteGradientError: the loss or gradient of that batch is NaN or infinite.
        """
        _, (gradient,) = self.context.gradients(batch)
        return self.mixed_with(gradient)


def first_and_second(
    context: StepContext[BatchT], first: BatchT, second: BatchT, kappa: float
) -> FirstAndSecond[BatchT]:
    """Return what a step knows of its two batches at the current parameters, from one shared ``encode``.

    Raises:
        NonFiniteGradientError: a loss or gradient is NaN or infinite.
    """
    if isinstance(context, MergesBackward):
        return context.first_and_second(first, second, kappa)
    return first_and_known_second(context, first, second, kappa)


def first_and_known_second(
    context: StepContext[BatchT], first: BatchT, second: BatchT, kappa: float
) -> FirstAndSecond[BatchT]:
    """Return what a step knows of its two batches, both gradients computed now.

    Raises:
        NonFiniteGradientError: a loss or gradient is NaN or infinite.
    """
    (loss, _), (gradient, second_gradient) = context.gradients(first, second)
    return FirstAndSecond(loss, gradient, KnownGradient(context, second_gradient, kappa))
