"""Which items may be recommended: allow lists, exclusions and conditions on item columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.where import select
from flatrec.utils.messages import clipped


@dataclass(frozen=True)
class Filters:
    """Which items may be recommended; all of them by default.

    Args:
        filter_seen: whether items that a user has an interaction with are left out; None for what the recommender was
            evaluated with: they are, except where users come back to the same items.
        items: ids of the only items that may be recommended; ids that the recommender does not know are left out.
        exclude: ids of items that may not, for everybody or by user; unknown ids are left out.
        where: a condition on item columns, such as ``in_stock = true and price < 30``; see
            :mod:`flatrec.inference.where`.
    """

    filter_seen: bool | None = None
    items: Sequence[str] | None = None
    exclude: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        """Keep the ids as tuples, so that an iterator is read once.

        Raises:
            TypeError: ids are one text or no texts, or the condition is no text.
        """
        if self.where is not None and not isinstance(self.where, str):
            raise TypeError(f"where must be a condition such as 'price < 30', but is {clipped(repr(self.where))}")
        exclude = self.exclude
        if isinstance(exclude, Mapping):
            object.__setattr__(self, "exclude", {user: id_tuple("exclude", ids) for user, ids in exclude.items()})
        elif exclude is not None:
            object.__setattr__(self, "exclude", id_tuple("exclude", exclude))
        if self.items is not None:
            object.__setattr__(self, "items", id_tuple("items", self.items))

    def allowed(self, catalog: Catalog) -> Bool[ndarray, "n_items"] | None:
        """Return which items may be recommended to anybody; None if all may.

        Raises:
            ValueError: the condition is malformed, or names a column that the items do not have.
        """
        masks = []
        if self.items is not None:
            masks.append(item_mask(self.items, catalog.ids))
        if self.exclude is not None and not isinstance(self.exclude, Mapping):
            masks.append(~item_mask(self.exclude, catalog.ids))
        if self.where is not None:
            masks.append(select(self.where, catalog.frame))
        return np.logical_and.reduce(masks) if masks else None

    def excluded_of(self, user: str) -> Sequence[str]:
        """Return the ids of the items that only this user may not get."""
        return self.exclude.get(user, ()) if isinstance(self.exclude, Mapping) else ()


def id_tuple(name: str, ids: object) -> tuple[str, ...]:
    """Return ids that a caller gave, in their order.

    Args:
        name: how messages call the argument.
        ids: any iterable of texts; those of NumPy become Python's.

    Raises:
        TypeError: the ids are one text, a mapping or not iterable, or one of them is no text.
    """
    if isinstance(ids, str):
        raise TypeError(f"{name} must be a sequence of ids, not one text; write [{clipped(ids)!r}]")
    if isinstance(ids, (bytes, Mapping)) or not isinstance(ids, Iterable):
        raise TypeError(f"{name} must be a sequence of ids, but is {clipped(repr(ids))}; write a list of texts")
    listed = tuple(ids)
    for one in listed:
        if not isinstance(one, str):
            raise TypeError(f"{name} must have ids as texts, but has {clipped(repr(one))}; write {clipped(str(one))!r}")
    return tuple(map(str, listed))


def item_mask(ids: Sequence[str], items: Vocabulary) -> Bool[ndarray, "n_items"]:
    """Return which items are listed."""
    mask = np.zeros(len(items), dtype=np.bool_)
    mask[known_indices(ids, items)] = True
    return mask


def known_indices(ids: Sequence[str], vocabulary: Vocabulary) -> Int64[ndarray, "n_known"]:
    """Return the indices of those ids that are known, in their order."""
    return np.array([vocabulary.index_of(name) for name in ids if name in vocabulary], dtype=np.int64)


def rows_of(items: Sequence[Int64[ndarray, "_"]], n_items: int) -> sparse.csr_array:
    """Return item indices as the rows of a matrix (n_rows, n_items), an entry of 1 for each; repeats count once."""
    rows = [np.unique(row) for row in items]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    values = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_array((values, columns, offsets), shape=(len(rows), n_items))
