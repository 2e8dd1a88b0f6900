"""What differs between the data that a recommender was made from and a data set as it is now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray
from scipy import sparse

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Split
from flatrec.inference.matching import indices_in, renumbered
from flatrec.inference.recommender import Recommender
from flatrec.utils.messages import count


@dataclass(frozen=True)
class DataChange:
    """Numbers of what came and what went.

    Args:
        new_users: users of the data set that the recommender does not know.
        gone_users: users of the recommender that the data set does not have.
        new_items: the same for items.
        gone_items: the same for items.
        new_interactions: interactions of the data set that the recommender has not seen, of whatever users and items.
        gone_interactions: interactions that the recommender has seen and the data set does not have.
    """

    new_users: int
    gone_users: int
    new_items: int
    gone_items: int
    new_interactions: int
    gone_interactions: int

    @classmethod
    def between(cls, recommender: Recommender, dataset: Dataset) -> DataChange:
        """Return what differs; ids are matched as texts."""
        users, items = indices_in(recommender.users, dataset.users), indices_in(recommender.items, dataset.items)
        n_users, n_items = int((users >= 0).sum()), int((items >= 0).sum())
        now, seen = len(np.unique(_pairs(dataset))), recommender.seen
        shared = renumbered(_matrix(dataset), users, items, seen.shape)
        common = len(np.intersect1d(_flat(shared), _flat(seen), assume_unique=True))
        trained = int((~recommender.catalog.new).sum())
        return cls(
            new_users=len(users) - n_users,
            gone_users=len(recommender.users) - n_users,
            new_items=len(items) - n_items,
            gone_items=trained - int((~recommender.catalog.new[items[items >= 0]]).sum()),
            new_interactions=now - common,
            gone_interactions=int(seen.nnz) - common,
        )

    def sentence(self) -> str:
        """Return what differs, without a full stop."""
        kinds = {
            "user": (self.new_users, self.gone_users),
            "item": (self.new_items, self.gone_items),
            "interaction": (self.new_interactions, self.gone_interactions),
        }
        new = [count(numbers[0], kind) for kind, numbers in kinds.items() if numbers[0]]
        gone = [count(numbers[1], kind) for kind, numbers in kinds.items() if numbers[1]]
        parts = [f"{' and '.join(found)} {word}" for found, word in ((new, "new"), (gone, "gone")) if found]
        return ", ".join(parts) or "the same interactions, with another split, other times, weights or features"


def count_trained(recommender: Recommender, dataset: Dataset, split: Split) -> int:
    """Return how many interactions of a split of a data set a recommender was trained on."""
    users, items = indices_in(recommender.users, dataset.users), indices_in(recommender.items, dataset.items)
    scored = renumbered(dataset.interactions.matrix(split), users, items, recommender.history.shape)
    return len(np.intersect1d(_flat(scored), _flat(recommender.history), assume_unique=True))


def _matrix(dataset: Dataset) -> sparse.csr_array:
    interactions = dataset.interactions
    values: ndarray = np.ones(len(interactions), dtype=np.float32)
    return sparse.csr_array(
        (values, (interactions.users, interactions.items)), shape=(dataset.n_users, dataset.n_items)
    )


def _pairs(dataset: Dataset) -> Int64[ndarray, "n"]:
    numbers: ndarray = dataset.interactions.users.astype(np.int64) * dataset.n_items + dataset.interactions.items
    return numbers


def _flat(matrix: sparse.csr_array) -> Int64[ndarray, "n"]:
    """Return one number per stored entry."""
    rows: Int64[ndarray, "n"] = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows * matrix.shape[1] + matrix.indices
