"""A small shop before and after some days: users and items that stay, come and go, by hand."""

from __future__ import annotations

import numpy as np
import torch

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.matching import all_interactions
from flatrec.inference.recommender import Facts, Recommender
from flatrec.models.scoring import Vectors

TRAIN, VALID, TEST = 0, 1, 2


def dataset(users, items, rows, name="shop"):
    """A data set of rows ``(user, item, split)`` by id."""
    user_ids, item_ids = Vocabulary("user", users), Vocabulary("item", items)
    columns = (
        np.array([user_ids.index_of(user) for user, _, _ in rows]),
        np.array([item_ids.index_of(item) for _, item, _ in rows]),
        np.array([split for _, _, split in rows]),
    )
    return Dataset(name, Interactions(*columns, len(users), len(items)), user_ids, item_ids)


BEFORE = dataset(
    ["ann", "bob", "cat"],
    ["cup", "jug", "mug", "pan"],
    [("ann", "cup", TRAIN), ("ann", "jug", VALID), ("bob", "jug", TRAIN), ("bob", "mug", TRAIN), ("cat", "pan", TEST)],
)
# Other order; bob is gone, dan is new; jug is gone, bowl is new; ann bought mug and bowl, cat bought cup.
AFTER = dataset(
    ["dan", "cat", "ann"],
    ["pan", "bowl", "mug", "cup"],
    [
        ("ann", "cup", TRAIN),
        ("ann", "mug", TEST),
        ("ann", "bowl", TEST),
        ("cat", "pan", TRAIN),
        ("cat", "cup", TEST),
        ("dan", "cup", TRAIN),
        ("dan", "pan", TEST),
    ],
)
USERS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
ITEMS = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.2, 0.8], [0.0, 1.0]])


def recommender(data=BEFORE, scoring=None):
    """Vectors by hand: ann likes cup, then jug, mug and pan; bob the other way round."""
    return Recommender(
        scoring or Vectors(USERS, ITEMS),
        data.users,
        Catalog.of(data),
        data.interactions.weight_matrix("train"),
        all_interactions(data.interactions),
        facts=Facts("bpr", data=data.name, run="0123"),
    )
