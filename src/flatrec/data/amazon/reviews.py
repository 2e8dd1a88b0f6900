"""Interactions from Amazon's review files of 2014, 2018 and 2023."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.amazon.lines import Record, SkipCounts, read_records
from flatrec.data.k_core import k_core_mask

USER_KEYS = ("reviewerID", "user_id")  # of 2014 and 2018, of 2023
ITEM_KEYS = ("parent_asin", "asin")  # of 2023, whose metadata goes by the parent; of 2014 and 2018
RATING_KEYS = ("overall", "rating")
NO_IDS, LOW = "without user or item", "rated too low"


@dataclass(frozen=True)
class Reviews:
    """The interactions of a review file, after the k-core filter."""

    interactions: pl.DataFrame  # text columns ``user`` and ``item``, each interaction once
    read: int  # number of reviews that were read
    distinct: int  # number of distinct interactions before the filter
    skipped: SkipCounts  # number of skipped lines and reviews, by reason


def read_reviews(
    path: Path, *, k_core: int = 5, min_rating: float = 0.0, on_bytes: Callable[[int], None] = lambda _count: None
) -> Reviews:
    """Read the interactions of a review file, and keep the k-core.

    Every review is an interaction, whatever its rating, as is common in the field. Memory: 8 bytes per interaction,
    plus the ids.

    Args:
        path: JSON lines, gzipped or not.
        k_core: minimum number of interactions per user and per item; 0 keeps all.
        min_rating: reviews with a lower rating are skipped.
        on_bytes: is called with the number of bytes that were read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or nothing is left.
    """
    skipped = SkipCounts()
    users, items = _Indices(), _Indices()
    for record in read_records(path, skipped, on_bytes=on_bytes):
        user, item = _first(record, USER_KEYS), _first(record, ITEM_KEYS)
        if user is None or item is None:
            skipped[NO_IDS] += 1
        elif min_rating > 0 and _rating(record) < min_rating:
            skipped[LOW] += 1
        else:
            users.add(user)
            items.add(item)
    if not len(users.codes):
        raise ValueError(f"{path} has no review with user and item ({dict(skipped)}); is it a review file?")
    read, (user_codes, item_codes) = len(users.codes), _distinct(users, items)
    in_core = k_core_mask(user_codes, item_codes, k_core)
    if not in_core.any():
        raise ValueError(f"{path} has no {k_core}-core among its {len(in_core)} interactions; lower --k-core")
    interactions = pl.DataFrame([users.texts(user_codes[in_core], "user"), items.texts(item_codes[in_core], "item")])
    return Reviews(interactions, read, len(in_core), skipped)


class _Indices:
    """Ids as indices, in the order in which they were read."""

    def __init__(self) -> None:
        self.index_of: dict[str, int] = {}
        self.codes = array("i")

    def add(self, text: str) -> None:
        self.codes.append(self.index_of.setdefault(text, len(self.index_of)))

    def texts(self, codes: Int[ndarray, "n"], name: str) -> pl.Series:
        return pl.Series(name, list(self.index_of), dtype=pl.String).gather(codes)


def _distinct(users: _Indices, items: _Indices) -> tuple[Int[ndarray, "n"], Int[ndarray, "n"]]:
    keys = np.frombuffer(users.codes, dtype=np.int32).astype(np.int64)
    keys *= len(items.index_of)
    keys += np.frombuffer(items.codes, dtype=np.int32)
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return keys // len(items.index_of), keys % len(items.index_of)


def _first(record: Record, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _rating(record: Record) -> float:
    values = [record[key] for key in RATING_KEYS if key in record]
    return float(values[0]) if values and isinstance(values[0], (int, float)) else 0.0
