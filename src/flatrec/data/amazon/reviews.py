"""Who reviewed what, from Amazon's review files of 2014, 2018 and 2023."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.amazon.lines import Record, SkipCounts, records
from flatrec.data.splitting import k_core_mask

USER_KEYS = ("reviewerID", "user_id")  # of 2014 and 2018, of 2023
ITEM_KEYS = ("parent_asin", "asin")  # of 2023, whose metadata goes by the parent; of 2014 and 2018
RATING_KEYS = ("overall", "rating")
NO_IDS, LOW = "without user or item", "rated too low"


@dataclass(frozen=True)
class Reviews:
    """Interactions of the k-core.

    Args:
        interactions: text columns ``user`` and ``item``, each interaction once.
        read: reviews that were read.
        distinct: interactions among them.
        skipped: lines and reviews that were left out, by the reason.
    """

    interactions: pl.DataFrame
    read: int
    distinct: int
    skipped: SkipCounts


def read_reviews(
    path: Path, *, k_core: int = 5, min_rating: float = 0.0, on_bytes: Callable[[int], None] = lambda _count: None
) -> Reviews:
    """The interactions of a review file that are left by the k-core filter.

    Every review is an interaction, whatever its rating, as is common in the field. Memory: 8 bytes per interaction,
    plus the ids.

    Args:
        path: JSON lines, gzipped or not.
        k_core: the fewest interactions a user and an item must have; 0 keeps all.
        min_rating: rating below which a review is left out.
        on_bytes: hears of bytes as they are read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or nothing is left.
    """
    skipped = SkipCounts()
    users, items = _Numbers(), _Numbers()
    for record in records(path, skipped, on_bytes=on_bytes):
        user, item = _first(record, USER_KEYS), _first(record, ITEM_KEYS)
        if user is None or item is None:
            skipped.counts[NO_IDS] += 1
        elif min_rating > 0 and _rating(record) < min_rating:
            skipped.counts[LOW] += 1
        else:
            users.add(user)
            items.add(item)
    if not len(users.codes):
        raise ValueError(f"{path} has no review with user and item ({dict(skipped.counts)}); is it a review file?")
    read, (user_codes, item_codes) = len(users.codes), _distinct(users, items)
    kept = k_core_mask(user_codes, item_codes, k_core)
    if not kept.any():
        raise ValueError(f"{path} has no {k_core}-core among its {len(kept)} interactions; lower --k-core")
    interactions = pl.DataFrame([users.texts(user_codes[kept], "user"), items.texts(item_codes[kept], "item")])
    return Reviews(interactions, read, len(kept), skipped)


class _Numbers:
    """Ids as numbers, in the order in which they were met."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.codes = array("i")

    def add(self, text: str) -> None:
        self.codes.append(self.known.setdefault(text, len(self.known)))

    def texts(self, codes: Int[ndarray, "n"], name: str) -> pl.Series:
        return pl.Series(name, list(self.known), dtype=pl.String).gather(codes)


def _distinct(users: _Numbers, items: _Numbers) -> tuple[Int[ndarray, "n"], Int[ndarray, "n"]]:
    """Each interaction once, in the order of users and then items."""
    keys = np.frombuffer(users.codes, dtype=np.int32).astype(np.int64)
    keys *= len(items.known)
    keys += np.frombuffer(items.codes, dtype=np.int32)
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return keys // len(items.known), keys % len(items.known)


def _first(record: Record, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _rating(record: Record) -> float:
    values = [record[key] for key in RATING_KEYS if key in record]
    return float(values[0]) if values and isinstance(values[0], (int, float)) else 0.0
