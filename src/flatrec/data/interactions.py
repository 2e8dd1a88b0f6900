"""Immutable user-item pairs and the part of the split that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, Int32
from numpy import ndarray
from scipy import sparse

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct user-item pairs by number, each in one part of the split.

    Args:
        users: the user of each pair, in [0, n_users).
        items: the item of each pair, in [0, n_items).
        parts: 0 training, 1 validation, 2 test. All three are kept as read-only int32, int32 and int8.
        n_users: number of users, those without a pair included.
        n_items: number of items, those without a pair included.

    Example:
        >>> pairs = Interactions(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 2, 0]), 2, 2)
        >>> pairs.count("train"), pairs.pairs("test")[1].tolist()
        (2, [1])

    Raises:
        ValueError: the arrays differ in length, a number is out of range, or a pair occurs twice.
    """

    users: Int[ndarray, "..."]
    items: Int[ndarray, "..."]
    parts: Int[ndarray, "..."]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        if not len(self.users) == len(self.items) == len(self.parts):
            raise ValueError(
                f"users, items and parts must have one entry a pair, but have {len(self.users)}, "
                f"{len(self.items)} and {len(self.parts)}"
            )
        _check_range("users", self.users, self.n_users)
        _check_range("items", self.items, self.n_items)
        _check_range("parts", self.parts, len(PARTS))
        for name, kind in (("users", np.int32), ("items", np.int32), ("parts", np.int8)):
            object.__setattr__(self, name, frozen(getattr(self, name), np.dtype(kind)))
        keys = np.sort(self.keys(self.users, self.items))
        if (keys[1:] == keys[:-1]).any():
            raise ValueError("a user-item pair occurs twice; remove duplicates first (flatrec.data.assemble does)")

    def __len__(self) -> int:
        return len(self.users)

    def keys(self, users: Int[ndarray, "n"], items: Int[ndarray, "n"]) -> Int[ndarray, "n"]:
        """One number a pair, increasing with user and then item."""
        numbers: ndarray = users.astype(np.int64) * self.n_items + items
        return numbers

    def mask(self, part: Part) -> Bool[ndarray, "n_pairs"]:
        """Which pairs belong to a part."""
        chosen: ndarray = self.parts == PARTS.index(part)
        return chosen

    def count(self, part: Part) -> int:
        """Number of pairs in a part."""
        return int(self.mask(part).sum())

    def pairs(self, part: Part) -> tuple[Int32[ndarray, "n_part"], Int32[ndarray, "n_part"]]:
        """Users and items of the pairs in a part."""
        mask = self.mask(part)
        return self.users[mask], self.items[mask]

    def item_counts(self, part: Part) -> Int[ndarray, "n_items"]:
        """Number of pairs of each item in a part."""
        return np.bincount(self.pairs(part)[1], minlength=self.n_items)

    def untrained(self, part: Part) -> Int[ndarray, "n_untrained"]:
        """The users with a pair in a part, but none in training, in increasing order."""
        return np.setdiff1d(self.pairs(part)[0], self.pairs("train")[0])

    def matrix(self, part: Part) -> sparse.csr_array:
        """The part as a binary float32 matrix (n_users, n_items), items of a row in increasing order."""
        users, items = self.pairs(part)
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
