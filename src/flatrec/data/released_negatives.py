"""Items that were drawn for the test interactions of a data set by those who published it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class ReleasedNegatives:
    """For each of some interactions, the items that it is ranked among; immutable.

    An item that a list holds twice takes two ranks, as in the releases. Lists may hold items that the user has, too.

    Args:
        users: the user index of each list.
        items: the item index of the relevant item of each list. Of lists for equal users and items, the first counts.
        counts: the number of items in each list.
        negatives: the item indices of all lists, one after the other.
        n_left_out: number of items in the lists that the data set does not have, and which are left out here.

    Example:
        >>> lists = ReleasedNegatives(np.array([3, 5]), np.array([0, 1]), np.array([2, 1]), np.array([7, 8, 9]))
        >>> rows = lists.rows_of(np.array([5, 3]), np.array([1, 0]))
        >>> lists.padded(rows, fill=10).tolist()
        [[9, 10], [7, 8]]
    """

    users: Int[ndarray, "n_lists"]
    items: Int[ndarray, "n_lists"]
    counts: Int[ndarray, "n_lists"]
    negatives: Int[ndarray, "n_negatives"]
    n_left_out: int = 0

    def rows_of(self, users: Int[ndarray, "n"], items: Int[ndarray, "n"]) -> Int64[ndarray, "n"] | None:
        """Return the list of each interaction, by its position; None unless every interaction has one."""
        width = int(max(self.items.max(initial=0), items.max(initial=0))) + 1
        keys, first = np.unique(self.users.astype(np.int64) * width + self.items, return_index=True)
        wanted = users.astype(np.int64) * width + items
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        if not len(keys) or (keys[places] != wanted).any():
            return None
        rows: ndarray = first[places]
        return rows

    def padded(self, rows: Int[ndarray, "n"], fill: int) -> Int64[ndarray, "n longest"]:
        """Return some of the lists, one row each, filled up to the longest of them."""
        counts = self.counts[rows]
        places = np.arange(counts.max(initial=0))
        held = places < counts[:, None]
        starts = (np.cumsum(self.counts) - self.counts)[rows]
        table: ndarray = np.full(held.shape, fill, dtype=np.int64)
        table[held] = self.negatives[(starts[:, None] + places)[held]]
        return table
