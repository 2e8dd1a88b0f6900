"""Immutable user-item interactions and the split that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, Int32
from numpy import ndarray
from scipy import sparse

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct user-item interactions by index, each in one of the three splits.

    What is computed from a split (its indices, matrix and item counts) is computed once and kept; it is read-only.

    Args:
        users: the user index of each interaction, in [0, n_users).
        items: the item index of each interaction, in [0, n_items).
        splits: 0 training, 1 validation, 2 test. All three are kept as read-only int32, int32 and int8.
        n_users: number of users, including those without an interaction.
        n_items: number of items, including those without an interaction.

    Example:
        >>> interactions = Interactions(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 2, 0]), 2, 2)
        >>> interactions.count("train"), interactions.indices("test")[1].tolist()
        (2, [1])

    Raises:
        ValueError: the arrays differ in length, an index is out of range, or an interaction occurs twice.
    """

    users: Int[ndarray, "..."]
    items: Int[ndarray, "..."]
    splits: Int[ndarray, "..."]
    n_users: int
    n_items: int
    _indices: dict[Split, tuple[ndarray, ndarray]] = field(default_factory=dict, init=False, repr=False)
    _matrices: dict[Split, sparse.csr_array] = field(default_factory=dict, init=False, repr=False)
    _item_counts: dict[Split, ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not len(self.users) == len(self.items) == len(self.splits):
            raise ValueError(
                f"users, items and splits must have one entry per interaction, but have {len(self.users)}, "
                f"{len(self.items)} and {len(self.splits)}"
            )
        _check_range("users", self.users, self.n_users)
        _check_range("items", self.items, self.n_items)
        _check_range("splits", self.splits, len(SPLITS))
        for name, kind in (("users", np.int32), ("items", np.int32), ("splits", np.int8)):
            object.__setattr__(self, name, read_only(getattr(self, name), np.dtype(kind)))
        cells = np.sort(self.flat_indices(self.users, self.items))
        if (cells[1:] == cells[:-1]).any():
            raise ValueError(
                "a user-item interaction occurs twice; remove duplicates first "
                "(flatrec.data.builder.build_indexed_dataset does)"
            )

    def __len__(self) -> int:
        return len(self.users)

    def flat_indices(self, users: Int[ndarray, "n"], items: Int[ndarray, "n"]) -> Int[ndarray, "n"]:
        """Return one number per user-item combination: the index of its cell in the flattened user-item matrix."""
        indices: ndarray = users.astype(np.int64) * self.n_items + items
        return indices

    def mask(self, split: Split) -> Bool[ndarray, "n_interactions"]:
        """Return True for each interaction that belongs to a split."""
        in_split: ndarray = self.splits == SPLITS.index(split)
        return in_split

    def count(self, split: Split) -> int:
        """Return the number of interactions in a split."""
        return int(self.mask(split).sum())

    def indices(self, split: Split) -> tuple[Int32[ndarray, "n_in_split"], Int32[ndarray, "n_in_split"]]:
        """Return the user and item indices of the interactions in a split; computed once, read-only."""
        if split not in self._indices:
            mask = self.mask(split)
            self._indices[split] = _locked(self.users[mask]), _locked(self.items[mask])
        return self._indices[split]

    def item_counts(self, split: Split) -> Int[ndarray, "n_items"]:
        """Return the number of interactions of each item in a split; computed once, read-only."""
        if split not in self._item_counts:
            self._item_counts[split] = _locked(np.bincount(self.indices(split)[1], minlength=self.n_items))
        return self._item_counts[split]

    def users_without_training(self, split: Split) -> Int[ndarray, "n_untrained"]:
        """Return the users with an interaction in a split, but none in training, in increasing order."""
        return np.setdiff1d(self.indices(split)[0], self.indices("train")[0])

    def matrix(self, split: Split) -> sparse.csr_array:
        """Return a split as a binary float32 matrix (n_users, n_items), the items of a row in increasing order.

        It is computed once, and its arrays are read-only: copy it to change it.
        """
        if split not in self._matrices:
            users, items = self.indices(split)
            ones = np.ones(len(users), dtype=np.float32)
            matrix = sparse.csr_array((ones, (users, items)), shape=(self.n_users, self.n_items))
            matrix.sort_indices()
            for array in (matrix.data, matrix.indices, matrix.indptr):
                _locked(array)
            self._matrices[split] = matrix
        return self._matrices[split]


def read_only(array: ndarray, dtype: np.dtype[np.generic]) -> ndarray:
    """Return a read-only copy of an array in the given type."""
    return _locked(np.array(array, dtype=dtype, order="C"))


def _locked(array: ndarray) -> ndarray:
    array.flags.writeable = False
    return array


def _check_range(name: str, indices: Int[ndarray, "n"], bound: int) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= bound):
        raise ValueError(f"{name} must lie in [0, {bound}), but range from {indices.min()} to {indices.max()}")
