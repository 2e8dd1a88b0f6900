"""Small data on which the baselines are compared with other computations of the same."""

from dataclasses import replace

import numpy as np

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary


def dataset_of(matrix, weights=None):
    """A data set whose training interactions are the entries of a matrix."""
    users, items = np.nonzero(matrix)
    splits = np.zeros(len(users), np.int8)
    interactions = Interactions(users.astype(np.int32), items.astype(np.int32), splits, *matrix.shape)
    if weights is not None:
        interactions = replace(interactions, weights=weights[users, items].astype(np.float32))
    vocabularies = [
        Vocabulary(kind, [f"{kind} {index}" for index in range(size)])
        for kind, size in zip(("user", "item"), matrix.shape, strict=True)
    ]
    return Dataset("shop", interactions, *vocabularies)


def _bought():
    """Users and items of very different degrees; the last item and the last user have no interaction."""
    generator = np.random.default_rng(7)
    odds = np.outer(generator.uniform(0.2, 1, 40), generator.uniform(0.05, 0.9, 24))
    bought = generator.random((40, 24)) < odds
    bought[:, -1] = bought[-1] = False
    return bought


def unequal():
    """40 users and 24 items without weights."""
    return dataset_of(_bought())


def weighted_dataset(scale=1.0):
    """The same interactions with weights from 0.5 to 4."""
    return dataset_of(_bought(), scale * np.random.default_rng(8).uniform(0.5, 4, (40, 24)))
