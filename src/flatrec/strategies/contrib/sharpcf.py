"""SharpCF: scores may not run away from those of some epochs before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.strategies.base import FirstPass, SingleBatchStrategy
from flatrec.strategies.batch_rows import BatchRows, batch_rows
from flatrec.strategies.context import BatchT, StepContext
from flatrec.strategies.state import state_count, state_history
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


@dataclass(kw_only=True, eq=False)
class SharpCF(SingleBatchStrategy):
    """Sharpness-aware collaborative filtering (Chen et al., RecSys 2023, https://arxiv.org/abs/2308.13541).

    With h^e the final embeddings in epoch e and E = ``window``, the base optimizer gets the gradient of

        L(h^e) + lam / |B| * sum over the interactions (u, p) of B of (<h_u^e, h_p^e> - <h_u^(e-E), h_p^(e-E)>)^2

    the past scores being constants. It takes one gradient a step, and begins as soon as there are scores of E epochs
    before. The second term is the trajectory loss; the loss that is reported is L.

    Deviations:

    - Public implementations by others, after which this one is written since the authors published none, keep the
      score that each interaction had when it was trained on in epoch e - E. Here the past scores are those of the
      embeddings at the beginning of epoch e - E: a batch does not say which of the training interactions it holds, and
      all past scores then belong to one and the same model. This takes E + 1 tables of embeddings of memory, also in a
      checkpoint.
    - They add this term to the *sum* of the losses of a batch, where models here take their mean: a weight of theirs is
      |B| times the one here.
    - The first epoch with a trajectory loss is ``start_epoch`` at the earliest, counted from 0.

    There is no optimizer of this strategy in :mod:`flatrec.optim`, where users and items are not seen.

    Args:
        lam: lambda, the weight of the trajectory loss; 0 is plain training.
        window: E, how many epochs lie between the two scores.
        start_epoch: epochs of plain training before the trajectory loss counts.

    Example:
        >>> SharpCF(lam=0.1, window=3).gradients_per_step
        1.0

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {"lam": (0.001, 0.01, 0.1, 1.0)}

    lam: NonNegativeFloat = 0.1
    window: PositiveInt = 3
    start_epoch: NonNegativeFloat = 0.0
    epochs: int = state_count()  # that have begun
    past: list[Vector] = state_history()  # the embeddings at the beginning of each of the last epochs

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
        self._begin_epoch(first.context, table)
        if first.context.progress < self.start_epoch or len(self.past) <= self.window:
            return first.gradient
        (before,) = self.past[0]
        trained, (embeddings,) = first.context.layout
        return [
            plus_trajectory_gradient(part, self.lam, Tables(table, before), rows) if number == embeddings else part
            for number, part in zip(trained, first.gradient, strict=True)
        ]

    def _begin_epoch(self, context: StepContext[Any], table: Tensor) -> None:
        """Keep the embeddings if this is the first step of an epoch."""
        epochs = math.floor(context.progress) + 1
        if epochs != self.epochs:
            self.past = [*self.past, [table.clone()]][-(self.window + 1) :]
            self.epochs = epochs


class Tables(NamedTuple):
    """Embeddings of users, then items, now and some epochs before."""

    now: Tensor
    before: Tensor


def plus_trajectory_gradient(gradient: Tensor, weight: float, tables: Tables, rows: BatchRows) -> Tensor:
    """A gradient plus that of the weighted mean squared difference of the scores of two tables, by the one of now."""
    (users, items), (past_users, past_items) = ((table[rows.users], table[rows.positives]) for table in tables)
    gaps = (users * items).sum(dim=1) - (past_users * past_items).sum(dim=1)
    pull = (gaps * (2 * weight / len(gaps)))[:, None]
    total = gradient.clone()
    return total.index_add_(0, rows.users, pull * items).index_add_(0, rows.positives, pull * users)
