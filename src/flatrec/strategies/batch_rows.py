"""The rows of final embeddings that a batch reads, for strategies that look at users and items."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from flatrec.ops.counts import counts
from flatrec.strategies.base import FirstPass
from flatrec.strategies.context import BatchT, RowCounts


@runtime_checkable
class Triples(Protocol):
    """A batch of interactions by index, each with items that its user has not interacted with."""

    @property
    def users(self) -> Tensor:
        """The users, one per interaction."""

    @property
    def positives(self) -> Tensor:
        """The items they interacted with."""

    @property
    def negatives(self) -> Tensor:
        """Other items, one row per interaction."""


class BatchRows(NamedTuple):
    """Rows of the table of users, then items.

    Args:
        users: the rows of the users, one per interaction.
        positives: those of the items they interacted with.
        negatives: those of the other items, one row per interaction.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor


def no_rows(strategy: str) -> ValueError:
    """The error of a strategy that needs users and items where there are none."""
    return ValueError(
        f"{strategy} needs the users and items of a batch, which final embeddings alone have; set "
        "training.perturb_target to embeddings"
    )


def row_counts(first: FirstPass[BatchT], strategy: str) -> list[Tensor]:
    """How often the batch reads each user and each item, two vectors.

    Raises:
        ValueError: the context knows no users and items.
    """
    if not isinstance(first.context, RowCounts):
        raise no_rows(strategy)
    return first.context.row_counts(first.batch)


def batch_rows(first: FirstPass[BatchT], strategy: str) -> BatchRows:
    """The rows of the batch's users, positives and negatives.

    Raises:
        ValueError: the context or the batch knows no users and items.
    """
    n_users = len(row_counts(first, strategy)[0])
    batch = first.batch
    if not isinstance(batch, Triples):
        raise no_rows(strategy)
    return BatchRows(batch.users, batch.positives + n_users, batch.negatives + n_users)


def mean_by_row(values: Tensor, rows: BatchRows, n_rows: int) -> Tensor:
    """The mean, over the interactions that read a row, of a value per interaction; 0 for rows that none reads."""
    columns = [rows.users, rows.positives, rows.negatives.flatten()]
    spread = [values, values, values.repeat_interleave(rows.negatives.shape[1])]
    index = torch.cat(columns)
    total = values.new_zeros(n_rows).index_add_(0, index, torch.cat(spread))
    return total / counts(index, n_rows).clamp_min(1)
