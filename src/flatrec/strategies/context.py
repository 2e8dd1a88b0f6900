"""What a strategy needs from whatever it trains; knows no model and no data, so that any loop can provide it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.ops.scalars import Scalar
from flatrec.strategies.state import Layout

BatchT = TypeVar("BatchT")
BatchIn = TypeVar("BatchIn", contravariant=True)


class NonFiniteGradientError(ArithmeticError):
    """A loss or gradient is NaN or infinite, and nothing was updated. Catch it to go on with the next step."""


@runtime_checkable
class StepContext(Protocol[BatchIn]):
    """Gradients as values, perturbations that undo themselves, and one method to update the parameters.

    Which parameters are trained and which of them are perturbed may change between steps.
    """

    progress: float
    """Epochs trained so far, fractions included."""

    @property
    def params(self) -> Sequence[Tensor]:
        """All trained parameters, in the order of a gradient's tensors."""

    @property
    def perturbed_params(self) -> Sequence[Tensor]:
        """The parameters that a strategy may perturb and counts in its norms."""

    @property
    def layout(self) -> Layout:
        """The ids of ``params`` and ``perturbed_params``; a parameter keeps its id for good."""

    def select_perturbed(self, gradient: Vector) -> Vector:
        """The tensors of a gradient that belong to ``perturbed_params``; the gradient itself if all do."""

    def step(self) -> AbstractContextManager[None]:
        """Context manager for one step; at its end, however it ends, all that belongs to the step is cleaned up."""

    def gradients(self, *batches: BatchIn) -> tuple[list[Tensor], Sequence[Vector]]:
        """The loss and the gradient of each batch at the current parameters.

        Raises:
            NonFiniteGradientError: a loss or gradient is NaN or infinite. On other devices than the CPU this may be
                found only when the parameters are about to change.
        """

    def perturbed(self, direction: Vector, scale: Scalar = 1.0) -> AbstractContextManager[None]:
        """Context manager that adds ``scale * direction`` to the perturbed parameters and restores them bit for bit."""

    def update(self, gradient: Vector) -> None:
        """Let the base optimizer take one step with a gradient for all parameters.

        Raises:
            NonFiniteGradientError: something of the step is NaN or infinite; nothing is updated.
        """


@runtime_checkable
class RowCounts(Protocol[BatchIn]):
    """A step context whose perturbed vector is one table of users, then items."""

    def row_counts(self, batch: BatchIn) -> list[Tensor]:
        """How often a batch reads each user and each item, two vectors."""
