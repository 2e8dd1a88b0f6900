"""Reviews in memory while a file of them is read: two 32-bit indices and a time for each, and every id once."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int64
from numpy import ndarray

ROWS_PER_PART = 2**20  # an array that grows part by part is never copied as a whole
NO_TIME = np.iinfo(np.int64).min  # stands for a time that is missing


class DistinctReviews(NamedTuple):
    """Distinct interactions by cell, ``user * n_items + item``, in increasing order."""

    cells: Int64[ndarray, "n_interactions"]
    times: Int64[ndarray, "n_interactions"]  # the latest of each; NO_TIME everywhere if no review has a time
    read: int  # number of reviews
    undated: int  # number of reviews that were left out because they have no time


class ReviewLog:
    """Users, items and times of reviews, in the order of the file. 16 bytes per review, some 150 per id."""

    def __init__(self) -> None:
        self._index_of_user: dict[str, int] = {}
        self._index_of_item: dict[str, int] = {}
        self._parts: list[tuple[ndarray, ndarray, ndarray]] = []  # users, items, times
        self._clear()

    def add(self, user: str, item: str, time: int | None) -> None:
        """Add a review; ``time`` is in Unix seconds."""
        self._users.append(self._index_of_user.setdefault(user, len(self._index_of_user)))
        self._items.append(self._index_of_item.setdefault(item, len(self._index_of_item)))
        self._times.append(NO_TIME if time is None else time)
        if len(self._times) == ROWS_PER_PART:
            self._flush()

    def take_ids(self) -> tuple[pl.Series, pl.Series]:
        """Return the ids of users and of items, in the order of their indices, and forget them here."""
        users = pl.Series("user", list(self._index_of_user), dtype=pl.String)
        self._index_of_user.clear()
        items = pl.Series("item", list(self._index_of_item), dtype=pl.String)
        self._index_of_item.clear()
        return users, items

    def take_distinct(self, n_items: int) -> DistinctReviews:
        """Return the distinct interactions of the reviews, and forget the reviews here.

        A review without a time is left out, unless none has one. 32 bytes per review.
        """
        cells, times = self._take_cells(n_items)
        dated = times != NO_TIME
        undated = int(len(times) - dated.sum()) if dated.any() else 0
        if undated:
            cells, times = cells[dated], times[dated]
        del dated
        read = len(cells)
        order = np.argsort(cells)
        times = times[order]
        del order
        cells.sort()  # in place: the largest arrays are not copied
        first = np.ones(read, dtype=np.bool_)
        np.not_equal(cells[1:], cells[:-1], out=first[1:])
        times = np.maximum.reduceat(times, np.flatnonzero(first)) if read else times
        return DistinctReviews(cells[first], times, read, undated)

    def _take_cells(self, n_items: int) -> tuple[Int64[ndarray, "n_reviews"], Int64[ndarray, "n_reviews"]]:
        """Return ``user * n_items + item`` and the time of every review, and forget them here."""
        self._flush()
        end = sum(len(times) for _, _, times in self._parts)
        cells, times = np.empty(end, dtype=np.int64), np.empty(end, dtype=np.int64)
        while self._parts:
            part_users, part_items, part_times = self._parts.pop()
            start = end - len(part_times)
            np.multiply(part_users, n_items, out=cells[start:end], dtype=np.int64)
            cells[start:end] += part_items
            times[start:end] = part_times
            end = start
        return cells, times

    def _flush(self) -> None:
        columns = np.array(self._users, np.int32), np.array(self._items, np.int32), np.array(self._times, np.int64)
        self._parts.append(columns)
        self._clear()

    def _clear(self) -> None:
        self._users, self._items, self._times = array("i"), array("i"), array("q")
