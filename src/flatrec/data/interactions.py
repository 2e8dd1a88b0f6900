"""Immutable user-item interactions and the split that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, Shaped
from numpy import ndarray
from scipy import sparse

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct user-item interactions by index, each in one of the three splits.

    What is computed from a split (its indices, matrices and item counts) is computed once and kept; it is read-only.

    Args:
        users: the user index of each interaction, in [0, n_users).
        items: the item index of each interaction, in [0, n_items).
        splits: 0 training, 1 validation, 2 test. All three are kept as read-only int32, int32 and int8.
        n_users: number of users, including those without an interaction.
        n_items: number of items, including those without an interaction.
        timestamps: when each interaction happened, in Unix seconds; kept as read-only int64. None if it is not known.
        weights: how much each interaction says, above 0; kept as read-only float32. None if all say the same.
        repeats: whether a user and an item may have one interaction in each split, instead of one in all.

    Example:
        >>> interactions = Interactions(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 2, 0]), 2, 2)
        >>> interactions.count("train"), interactions.indices("test")[1].tolist()
        (2, [1])

    Raises:
        ValueError: the arrays differ in length, an index is out of range, a weight is not positive and finite, or an
            interaction occurs twice.
    """

    users: Int[ndarray, "..."]
    items: Int[ndarray, "..."]
    splits: Int[ndarray, "..."]
    n_users: int
    n_items: int
    timestamps: Int[ndarray, "..."] | None = None
    weights: Float[ndarray, "..."] | None = None
    repeats: bool = False
    _indices: dict[Split, tuple[ndarray, ndarray]] = field(default_factory=dict, init=False, repr=False)
    _matrices: dict[Split, sparse.csr_array] = field(default_factory=dict, init=False, repr=False)
    _weight_matrices: dict[Split, sparse.csr_array] = field(default_factory=dict, init=False, repr=False)
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
        self._lock_optional("timestamps", np.dtype(np.int64))
        self._lock_optional("weights", np.dtype(np.float32))
        if self.weights is not None and not (np.isfinite(self.weights) & (self.weights > 0)).all():
            raise ValueError("weights must be finite and above 0; leave interactions without a weight out")
        cells = self.flat_indices(self.users, self.items)
        cells = np.sort(cells * len(SPLITS) + self.splits if self.repeats else cells)
        if (cells[1:] == cells[:-1]).any():
            raise ValueError(
                "a user-item interaction occurs twice; remove duplicates first "
                "(flatrec.data.builder.build_indexed_dataset does)"
            )

    def _lock_optional(self, name: str, kind: np.dtype[np.generic]) -> None:
        values: ndarray | None = getattr(self, name)
        if values is None:
            return
        if len(values) != len(self.users):
            raise ValueError(f"{name} must have one entry per interaction: {len(self.users)}, but has {len(values)}")
        object.__setattr__(self, name, read_only(values, kind))

    def __len__(self) -> int:
        return len(self.users)

    def flat_indices(self, users: Int[ndarray, "n"], items: Int[ndarray, "n"]) -> Int[ndarray, "n"]:
        """Return one number per user-item combination: the index of its cell in the flattened user-item matrix."""
        indices: ndarray = users.astype(np.int64) * self.n_items + items
        return indices

    def take(self, rows: Shaped[ndarray, "n"]) -> Interactions:
        """Return some of the interactions, by index or by mask, of the same users and items."""
        columns = ("users", "items", "splits", "timestamps", "weights")
        return replace(self, **{name: column[rows] for name in columns if (column := getattr(self, name)) is not None})

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

    def item_weights(self, split: Split) -> Float64[ndarray, "n_items"]:
        """Return the sum of the weights of each item's interactions in a split: their number without weights."""
        mask = self.mask(split)
        weights = None if self.weights is None else self.weights[mask]
        sums: ndarray = np.bincount(self.items[mask], weights, minlength=self.n_items).astype(np.float64)
        return sums

    def items_without_training(self, split: Split) -> Int[ndarray, "n_untrained"]:
        """Return the items with an interaction in a split, but none in training, in increasing order."""
        return np.setdiff1d(self.indices(split)[1], self.indices("train")[1])

    def count_with_unknown_items(self, split: Split) -> int:
        """Return the number of interactions in a split with items that have none in training."""
        return int((self.item_counts("train")[self.indices(split)[1]] == 0).sum())

    def users_without_training(self, split: Split) -> Int[ndarray, "n_untrained"]:
        """Return the users with an interaction in a split, but none in training, in increasing order."""
        return np.setdiff1d(self.indices(split)[0], self.indices("train")[0])

    def matrix(self, split: Split) -> sparse.csr_array:
        """Return a split as a binary float32 matrix (n_users, n_items), the items of a row in increasing order.

        It is computed once, and its arrays are read-only: copy it to change it.
        """
        if split not in self._matrices:
            self._matrices[split] = self._matrix(split, np.ones(self.count(split), dtype=np.float32))
        return self._matrices[split]

    def weight_matrix(self, split: Split) -> sparse.csr_array:
        """Return the same matrix with weights as its values; without weights it is the binary one."""
        if self.weights is None:
            return self.matrix(split)
        if split not in self._weight_matrices:
            self._weight_matrices[split] = self._matrix(split, self.weights[self.mask(split)])
        return self._weight_matrices[split]

    def _matrix(self, split: Split, values: Float32[ndarray, "n_in_split"]) -> sparse.csr_array:
        matrix = sparse.csr_array((values, self.indices(split)), shape=(self.n_users, self.n_items))
        matrix.sort_indices()
        for array in (matrix.data, matrix.indices, matrix.indptr):
            _locked(array)
        return matrix


def read_only(array: ndarray, dtype: np.dtype[np.generic]) -> ndarray:
    """Return a read-only copy of an array in the given type."""
    return _locked(np.array(array, dtype=dtype, order="C"))


def _locked(array: ndarray) -> ndarray:
    array.flags.writeable = False
    return array


def _check_range(name: str, indices: Int[ndarray, "n"], bound: int) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= bound):
        raise ValueError(f"{name} must lie in [0, {bound}), but range from {indices.min()} to {indices.max()}")
