"""What strategies with a trajectory loss share: a past that scores are held near, and when it begins to count."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.strategies.base import FirstPass, SingleBatchStrategy
from flatrec.strategies.batch_rows import BatchRows, batch_rows
from flatrec.strategies.context import BatchT, StepContext
from flatrec.strategies.state import state_count, state_history
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


class Tables(NamedTuple):
    """Embeddings of users, then items, now and before."""

    now: Tensor
    before: Tensor


@dataclass(kw_only=True, eq=False)
class TrajectoryStrategy(SingleBatchStrategy):
    """A strategy that adds the gradient of a trajectory loss to that of the batch, at one gradient a step.

    Args:
        lam: lambda, the weight of the trajectory loss; 0 is plain training.
        start_epoch: epochs of plain training before the trajectory loss counts.
    """

    lam: NonNegativeFloat = 0.1
    start_epoch: NonNegativeFloat = 0.0

    @abstractmethod
    def before(self, context: StepContext[Any], table: Tensor) -> Tensor | None:
        """The past embeddings of this step, given those of now, which are kept; None if there is no past yet."""

    @abstractmethod
    def plus_pull(self, gradient: Tensor, tables: Tables, rows: BatchRows) -> Tensor:
        """A gradient by the embeddings of now plus that of the weighted trajectory loss; the argument stays as is."""

    @property
    def gradients_per_step(self) -> float:
        """One."""
        return 1.0

    def transform_gradient(self, first: FirstPass[BatchT]) -> Vector:
        """The gradient of the loss plus that of the trajectory loss.

        Raises:
            ValueError: the context knows no users and items.
        """
        rows = batch_rows(first, type(self).__name__)
        if self.lam == 0:
            return first.gradient
        (table,) = (parameter.detach() for parameter in first.context.perturbed_params)
        before = self.before(first.context, table)
        if before is None or first.context.progress < self.start_epoch:
            return first.gradient
        trained, (embeddings,) = first.context.layout
        return [
            self.plus_pull(part, Tables(table, before), rows) if number == embeddings else part
            for number, part in zip(trained, first.gradient, strict=True)
        ]


@dataclass(kw_only=True, eq=False)
class PastEpochStrategy(TrajectoryStrategy):
    """A trajectory loss whose past is the beginning of an epoch some epochs ago; it takes ``window`` + 1 tables.

    Args:
        window: E, how many epochs lie between the two scores.
    """

    window: PositiveInt = 3
    epochs: int = state_count()  # that have begun
    past: list[Vector] = state_history()  # the embeddings at the beginning of each of the last epochs

    def before(self, context: StepContext[Any], table: Tensor) -> Tensor | None:
        """The embeddings at the beginning of the epoch ``window`` epochs ago."""
        epochs = math.floor(context.progress) + 1
        if epochs != self.epochs:  # the first step of an epoch
            self.past = [*self.past, [table.clone()]][-(self.window + 1) :]
            self.epochs = epochs
        return self.past[0][0] if len(self.past) > self.window else None
