"""Users, items and interactions of one data set by the indices of another, matched by id."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64
from numpy import ndarray
from scipy import sparse

from flatrec.data.interactions import SPLITS, Interactions
from flatrec.data.vocabulary import Vocabulary


def indices_in(known: Vocabulary, ids: Vocabulary) -> Int64[ndarray, "n"]:
    """Return the index of each id in another vocabulary; -1 for one that is not in it."""
    return np.array([known.index_of(name) if name in known else -1 for name in ids], dtype=np.int64)


def renumbered(
    interactions: sparse.csr_array,
    users: Int64[ndarray, "n_users"],
    items: Int64[ndarray, "n_items"],
    shape: tuple[int, int],
) -> sparse.csr_array:
    """Return interactions under other indices, with weights of 1.

    Args:
        interactions: a matrix of users by items.
        users: the new index of each user; -1 leaves the user's interactions out.
        items: the same for items.
        shape: numbers of users and items of the result.
    """
    rows = users[np.repeat(np.arange(interactions.shape[0]), np.diff(interactions.indptr))]
    columns = items[interactions.indices]
    kept = (rows >= 0) & (columns >= 0)
    values: ndarray = np.ones(int(kept.sum()), dtype=np.float32)
    matrix = sparse.csr_array((values, (rows[kept], columns[kept])), shape=shape)
    matrix.sort_indices()
    return matrix


def all_interactions(interactions: Interactions) -> sparse.csr_array:
    """Return the interactions of all splits as a matrix of users by items."""
    first, *others = (interactions.matrix(split) for split in SPLITS)
    return sparse.csr_array(sum(others, start=first))
