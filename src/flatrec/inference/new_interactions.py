"""Interactions that are newer than a recommender: what its users have seen since, and histories of users it lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from flatrec.data.dataset import Dataset
from flatrec.inference.matching import all_interactions, indices_in, renumbered
from flatrec.inference.recommender import Recommender
from flatrec.utils.messages import count, quoted


@dataclass(frozen=True, eq=False)
class NewInteractions:
    """A recommender that takes newer interactions into account, and what was done with them.

    Args:
        recommender: the recommender; what it learned is as before.
        seen: new interactions of users that it was trained on, which their lists leave out from now on.
        histories: users that it was not trained on, whose lists are made of their interactions.
        unknown_items: items of the data set that it does not know.
        left_out: interactions with these items, which are left out.
    """

    recommender: Recommender
    seen: int
    histories: int
    unknown_items: int
    left_out: int

    def sentence(self, name: str) -> str:
        """Return what was done with the interactions of a data set of this name."""
        parts = [
            f"{count(self.seen, 'new interaction')} of users that the recommender was trained on are masked",
            f"{count(self.histories, 'other user')} with interactions get lists by history",
        ]
        if self.left_out:
            parts.append(
                f"{count(self.left_out, 'interaction')} with {count(self.unknown_items, 'item')} that the recommender "
                "does not know are left out"
            )
        return f"{name!r}: {'; '.join(parts)}"


def add_interactions(recommender: Recommender, dataset: Dataset) -> NewInteractions:
    """Return a recommender with the interactions of a data set, of all splits; ids are matched.

    Users that it was trained on keep what was learned of them, and their new interactions count as seen. Users that it
    does not know, or that had no training interaction, are answered by their interactions in the data set (path
    ``history``). Items that it does not know are left out.

    Args:
        recommender: the recommender.
        dataset: newer data of the same shop.

    Raises:
        ValueError: it has no item in common with the recommender.
    """
    users, items = indices_in(recommender.users, dataset.users), indices_in(recommender.items, dataset.items)
    if not (items >= 0).any():
        raise ValueError(
            f"{dataset.name!r} has no item in common with the recommender: its ids look like "
            f"{quoted(list(dataset.items)[:3])}, those of the recommender like {quoted(list(recommender.items)[:3])}; "
            "give newer data of the same shop"
        )
    shape = (dataset.n_users, len(recommender.items))
    by_user = renumbered(all_interactions(dataset.interactions), np.arange(dataset.n_users), items, shape)
    newer = renumbered(by_user, users, np.arange(shape[1]), recommender.seen.shape)
    seen = sparse.csr_array(_binary(recommender.seen) + newer)
    trained = np.append(recommender.learned, False)[users]
    guests = np.flatnonzero(~trained & (np.diff(by_user.indptr) > 0))
    unknown = np.flatnonzero(items < 0)
    return NewInteractions(
        recommender=replace(
            recommender,
            seen=seen,
            histories={**recommender.histories, **_histories(recommender, dataset, by_user, guests)},
        ),
        seen=_count(seen, users[trained]) - _count(recommender.seen, users[trained]),
        histories=len(guests),
        unknown_items=len(unknown),
        left_out=int(np.isin(dataset.interactions.items, unknown).sum()),
    )


def _histories(
    recommender: Recommender, dataset: Dataset, by_user: sparse.csr_array, guests: np.ndarray
) -> dict[str, tuple[str, ...]]:
    ids = recommender.items
    return {
        dataset.users[user]: tuple(
            ids[item] for item in by_user.indices[by_user.indptr[user] : by_user.indptr[user + 1]].tolist()
        )
        for user in guests.tolist()
    }


def _binary(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return the same entries with values of 1; a sum with others then stores all of them."""
    values = np.ones(matrix.nnz, dtype=np.float32)
    return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _count(matrix: sparse.csr_array, rows: np.ndarray) -> int:
    return int(np.diff(matrix.indptr)[rows].sum())
