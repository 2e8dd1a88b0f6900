"""The events of a source by index, before they are split and summed to interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int64, Shaped
from numpy import ndarray

from flatrec.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """What users did, in any order; a user and an item may have several events.

    Args:
        users: the user index of each event, in [0, n_users).
        items: the item index of each event, in [0, n_items).
        n_users: number of users.
        n_items: number of items.
        timestamps: when each event happened, in Unix seconds; None if it is not known.
        weights: how much each event says, above 0; None if all say the same.
        quantities: the quantity of each event, below 0 for a return; None if there are no returns and no quantities.
        returnable: whether a return may cancel the event, as it may a purchase but no view; None if it may cancel any.
        splits: the split that the source gives each event (0, 1, 2); None if it gives none.
        weigh_quantities: whether the weight of an event is multiplied by its quantity.
        half_life: age in seconds, counted from the newest training event, at which the weight of a training event is
            halved; None if weights do not decay.
        repeat: whether an interaction of validation or test stays if the user has the item in an earlier split.
    """

    users: Int[ndarray, "n_events"]
    items: Int[ndarray, "n_events"]
    n_users: int
    n_items: int
    timestamps: Int[ndarray, "n_events"] | None = None
    weights: Float[ndarray, "n_events"] | None = None
    quantities: Float[ndarray, "n_events"] | None = None
    splits: Int[ndarray, "n_events"] | None = None
    returnable: Bool[ndarray, "n_events"] | None = None
    weigh_quantities: bool = False
    half_life: float | None = None
    repeat: bool = False

    def __len__(self) -> int:
        return len(self.users)

    @property
    def cells(self) -> Int64[ndarray, "n_events"]:
        """One number per user-item combination: the index of its cell in the flattened user-item matrix."""
        indices: ndarray = self.users.astype(np.int64) * self.n_items + self.items
        return indices

    @property
    def returns(self) -> ndarray:
        """Return True for each event that is a return."""
        if self.quantities is None:
            return np.zeros(len(self), dtype=np.bool_)
        below: ndarray = self.quantities < 0
        return below

    def take(self, rows: Shaped[ndarray, "n"]) -> InteractionLog:
        """Return some of the events, by index or by mask."""
        columns = ("users", "items", "timestamps", "weights", "quantities", "splits", "returnable")
        return replace(self, **{name: column[rows] for name in columns if (column := getattr(self, name)) is not None})

    def order(self) -> Int64[ndarray, "n_events"]:
        """Return the order by user and time; equal times are ordered by item, so that the order of rows plays no part.

        Without timestamps, the order is by user and item.
        """
        ties = [column for column in (self.quantities, self.weights) if column is not None]
        times = [] if self.timestamps is None else [self.timestamps]
        return np.lexsort((*ties, self.items, *times, self.users))


class IndexedInteractions(NamedTuple):
    """The events of a source by index, and the ids in the order of the indices."""

    log: InteractionLog
    user_ids: Sequence[str]
    item_ids: Sequence[str]


def log_of(interactions: Interactions, *, given: bool) -> InteractionLog:
    """Return interactions as a log, one event for each.

    Args:
        interactions: the interactions.
        given: whether their splits were given by the source.
    """
    return InteractionLog(
        interactions.users,
        interactions.items,
        interactions.n_users,
        interactions.n_items,
        interactions.timestamps,
        interactions.weights,
        splits=interactions.splits if given else None,
        repeat=interactions.repeats,
    )
