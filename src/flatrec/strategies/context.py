"""What a strategy asks of whatever it trains; knows no model and no data, so that any loop can offer it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, norm

BatchT = TypeVar("BatchT")
BatchIn = TypeVar("BatchIn", contravariant=True)


class NonFiniteGradientError(ArithmeticError):
    """A loss or gradient came out as NaN or infinite; nothing has been updated. Catch it to give the step up."""


@runtime_checkable
class StepContext(Protocol[BatchIn]):
    """Gradients as values, shifts that undo themselves, and one way to update.

    ``params`` are all parameters that are trained, ``numbers`` what each of them is called for good, and ``perturbed``
    the places among them of those that a strategy may shift and counts in its norms; all three may change between
    steps. ``progress`` are the epochs trained so far, fractions included.
    """

    numbers: Sequence[int]
    perturbed: Sequence[int]
    progress: float

    @property
    def params(self) -> Sequence[Tensor]:
        """The values, in the order of gradients."""

    def gradients(self, *batches: BatchIn) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The loss and the gradient of each batch at the current parameters.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite.
        """

    def shifted(self, by: Vector, scale: float = 1.0) -> AbstractContextManager[None]:
        """The perturbed parameters moved by ``scale * by`` inside the block, restored bit for bit after it."""

    def update(self, gradient: Vector) -> None:
        """Let the base optimizer take one step with a gradient for all parameters."""


def finite(losses: Sequence[Tensor], gradients: Sequence[Vector]) -> bool:
    """Whether all of it is; a sum of squares that overflows counts as not."""
    sizes = [*losses, *(norm(gradient).to(losses[0]) for gradient in gradients)]
    return bool(torch.isfinite(torch.stack(sizes)).all())


def among(places: Sequence[int], vector: Vector) -> Vector:
    """The parts of a vector at some places; the vector itself where that is all of it."""
    return vector if len(places) == len(vector) else [vector[place] for place in places]
