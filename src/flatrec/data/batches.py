"""Batches of training interactions with negatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from jaxtyping import Float, Int64
from torch import Tensor

SecondBatch: TypeAlias = Literal["independent", "split"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Training interactions by index, each with items that its user has not interacted with in training.

    Args:
        users: the users.
        positives: the items they interacted with.
        negatives: N items for each interaction.
        in_batch: whether a ranking loss takes the other positives of the batch as negatives; those that were drawn are
            then for the other terms of a loss.
        hardest: whether of the negatives of an interaction only the one with the highest score counts.
        log_q: the logarithm of the probability with which each item is a negative; None if all are equal.
    """

    users: Int64[Tensor, "batch"]
    positives: Int64[Tensor, "batch"]
    negatives: Int64[Tensor, "batch n_negatives"]
    in_batch: bool = False
    hardest: bool = False
    log_q: Float[Tensor, "n_items"] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def indices(self) -> tuple[Tensor, Tensor, Tensor]:
        """Users, positives and negatives."""
        return self.users, self.positives, self.negatives

    def with_indices(
        self,
        users: Int64[Tensor, "batch"],
        positives: Int64[Tensor, "batch"],
        negatives: Int64[Tensor, "batch n_negatives"],
    ) -> Batch:
        """A batch of other interactions, sampled in the same way."""
        return replace(self, users=users, positives=positives, negatives=negatives)

    def split(self, portions: int) -> list[Batch]:
        """Split the batch into portions of almost equal size, which are views."""
        columns = (column.tensor_split(portions) for column in self.indices)
        return [self.with_indices(*portion) for portion in zip(*columns, strict=True)]
