"""Interactions from Amazon's review files of 2014, 2018 and 2023."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int, Int32, Int64
from numpy import ndarray

from flatrec.data.amazon.lines import Record, SkipCounts, as_unicode, read_records
from flatrec.data.amazon.review_log import NO_TIME, ReviewLog
from flatrec.data.event_frame import id_order
from flatrec.data.k_core import k_core_mask

USER_KEYS = ("reviewerID", "user_id")  # of 2014 and 2018, of 2023
ITEM_KEYS = ("parent_asin", "asin")  # of 2023, whose metadata goes by the parent; of 2014 and 2018
RATING_KEYS = ("overall", "rating")
TIME_KEYS = (("unixReviewTime", 1), ("timestamp", 1000))  # in seconds; of 2023, in milliseconds
NO_IDS, LOW, UNDATED = "without user or item", "rated too low", "without a valid time"
DAY = 86_400


@dataclass(frozen=True, eq=False)
class Reviews:
    """The interactions of a review file after the k-core filter: each once, sorted by user and item."""

    users: Int32[ndarray, "n_interactions"]  # the index of each user
    items: Int32[ndarray, "n_interactions"]  # the index of each item
    timestamps: Int64[ndarray, "n_interactions"] | None  # of the latest review; None if no review has a time
    user_ids: pl.Series  # the ids of users, in the order of their indices
    item_ids: pl.Series  # the ids of items, in the order of their indices
    read: int  # number of reviews that were read
    distinct: int  # number of distinct interactions before the filter
    filtered_users: int  # number of users that the filter removed
    filtered_items: int  # number of items that the filter removed
    skipped: SkipCounts  # number of skipped lines and reviews, by reason


def read_reviews(
    path: Path, *, k_core: int = 5, min_rating: float = 0.0, on_bytes: Callable[[int], None] = lambda _count: None
) -> Reviews:
    """Read the interactions of a review file, and keep the k-core.

    Every review is an interaction, whatever its rating, as is common in the field. Of several reviews by one user of
    one item, the latest time is kept. A review without a time, or from the future, is skipped, unless no review has a
    time. Memory: 32 bytes per review, some 150 bytes per id.

    Args:
        path: JSON lines, gzipped or not.
        k_core: minimum number of interactions per user and per item; 0 keeps all.
        min_rating: reviews with a lower rating are skipped.
        on_bytes: is called with the number of bytes that were read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or nothing is left.
    """
    log, skipped = ReviewLog(), SkipCounts()
    now = time.time()
    for record in read_records(path, skipped, on_bytes=on_bytes):
        user, item = _first(record, USER_KEYS), _first(record, ITEM_KEYS)
        if user is None or item is None:
            skipped[NO_IDS] += 1
        elif min_rating > 0 and _rating(record) < min_rating:
            skipped[LOW] += 1
        else:
            log.add(user, item, _seconds(record, now + DAY))
    return _core(path, log, skipped, k_core)


def _core(path: Path, log: ReviewLog, skipped: SkipCounts, k_core: int) -> Reviews:
    user_ids, item_ids = log.take_ids()
    width = max(len(item_ids), 1)
    cells, times, read, undated = log.take_distinct(width)
    if undated:
        skipped[UNDATED] = undated
    if not read:
        raise ValueError(f"{path} has no review with user and item ({dict(skipped)}); is it a review file?")
    users, items = (cells // width).astype(np.int32), (cells % width).astype(np.int32)
    del cells
    in_core = k_core_mask(users, items, k_core)
    if not in_core.any():
        raise ValueError(f"{path} has no {k_core}-core among its {len(in_core)} interactions; lower --k-core")
    n_users, n_items = _used(users, len(user_ids)), _used(items, len(item_ids))
    users, user_ids = _indexed(users[in_core], user_ids)
    items, item_ids = _indexed(items[in_core], item_ids)
    times = times[in_core]
    order = np.argsort(users.astype(np.int64) * len(item_ids) + items)
    return Reviews(
        users[order],
        items[order],
        None if times[0] == NO_TIME else times[order],
        user_ids,
        item_ids,
        read,
        len(in_core),
        len(n_users) - len(user_ids),
        len(n_items) - len(item_ids),
        skipped,
    )


def _used(codes: Int32[ndarray, "n"], size: int) -> Int[ndarray, "n_used"]:
    """Return the codes that occur, in increasing order."""
    return np.flatnonzero(np.bincount(codes, minlength=size))


def _indexed(codes: Int32[ndarray, "n"], ids: pl.Series) -> tuple[Int32[ndarray, "n"], pl.Series]:
    """Return indices without gaps, in the order of the ids, and the ids by index."""
    used = _used(codes, len(ids))
    distinct = ids.gather(used)
    order: Int[ndarray, n_used] = id_order(distinct)
    index_of = np.empty(len(ids), dtype=np.int32)
    index_of[used[order]] = np.arange(len(used), dtype=np.int32)
    return index_of[codes], distinct.gather(order)


def _first(record: Record, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) and value and as_unicode(value) == value:
            return value
    return None


def _rating(record: Record) -> float:
    values = [record[key] for key in RATING_KEYS if key in record]
    return float(values[0]) if values and isinstance(values[0], (int, float)) else 0.0


def _seconds(record: Record, end: float) -> int | None:
    """Return the time of a review in Unix seconds; None without one, or if it is not between 1970 and ``end``."""
    for key, per_second in TIME_KEYS:
        value = record.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= end * per_second:
            return int(value // per_second)
    return None
