"""Immutable user-item pairs and the split of the split that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, Int32
from numpy import ndarray
from scipy import sparse

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct user-item pairs by number, each in one split of the split.

    Args:
        users: the user of each pair, in [0, n_users).
        items: the item of each pair, in [0, n_items).
        splits: 0 training, 1 validation, 2 test. All three are kept as read-only int32, int32 and int8.
        n_users: number of users, those without a pair included.
        n_items: number of items, those without a pair included.

    Example:
        >>> pairs = Interactions(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 2, 0]), 2, 2)
        >>> pairs.count("train"), pairs.indices("test")[1].tolist()
        (2, [1])

    Raises:
        ValueError: the arrays differ in length, a number is out of range, or a pair occurs twice.
    """

    users: Int[ndarray, "..."]
    items: Int[ndarray, "..."]
    splits: Int[ndarray, "..."]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        if not len(self.users) == len(self.items) == len(self.splits):
            raise ValueError(
                f"users, items and splits must have one entry a pair, but have {len(self.users)}, "
                f"{len(self.items)} and {len(self.splits)}"
            )
        _check_range("users", self.users, self.n_users)
        _check_range("items", self.items, self.n_items)
        _check_range("splits", self.splits, len(SPLITS))
        for name, kind in (("users", np.int32), ("items", np.int32), ("splits", np.int8)):
            object.__setattr__(self, name, frozen(getattr(self, name), np.dtype(kind)))
        keys = np.sort(self.keys(self.users, self.items))
        if (keys[1:] == keys[:-1]).any():
            raise ValueError("a user-item pair occurs twice; remove duplicates first (flatrec.data.build_dataset does)")

    def __len__(self) -> int:
        return len(self.users)

    def keys(self, users: Int[ndarray, "n"], items: Int[ndarray, "n"]) -> Int[ndarray, "n"]:
        """One number a pair, increasing with user and then item."""
        numbers: ndarray = users.astype(np.int64) * self.n_items + items
        return numbers

    def mask(self, split: Split) -> Bool[ndarray, "n_pairs"]:
        """Which pairs belong to a split."""
        chosen: ndarray = self.splits == SPLITS.index(split)
        return chosen

    def count(self, split: Split) -> int:
        """Number of pairs in a split."""
        return int(self.mask(split).sum())

    def indices(self, split: Split) -> tuple[Int32[ndarray, "n_part"], Int32[ndarray, "n_part"]]:
        """Users and items of the pairs in a split."""
        mask = self.mask(split)
        return self.users[mask], self.items[mask]

    def item_counts(self, split: Split) -> Int[ndarray, "n_items"]:
        """Number of pairs of each item in a split."""
        return np.bincount(self.indices(split)[1], minlength=self.n_items)

    def untrained(self, split: Split) -> Int[ndarray, "n_untrained"]:
        """The users with a pair in a split, but none in training, in increasing order."""
        return np.setdiff1d(self.indices(split)[0], self.indices("train")[0])

    def matrix(self, split: Split) -> sparse.csr_array:
        """The split as a binary float32 matrix (n_users, n_items), items of a row in increasing order."""
        users, items = self.indices(split)
        ones = np.ones(len(users), dtype=np.float32)
        matrix = sparse.csr_array((ones, (users, items)), shape=(self.n_users, self.n_items))
        matrix.sort_indices()
        return matrix


def frozen(array: ndarray, dtype: np.dtype[np.generic]) -> ndarray:
    """A read-only copy of an array in the given type."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.flags.writeable = False
    return copy


def _check_range(name: str, numbers: Int[ndarray, "n"], bound: int) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= bound):
        raise ValueError(f"{name} must lie in [0, {bound}), but range from {numbers.min()} to {numbers.max()}")
