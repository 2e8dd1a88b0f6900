"""Data sets of random pairs, of any size."""

from __future__ import annotations

import numpy as np

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary


def random_dataset(users: int, items: int, pairs: int) -> Dataset:
    """So many distinct pairs with the skew of a shop, every hundredth for validation."""
    stream = np.random.default_rng(0)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < pairs:
        some = pairs - len(keys) + pairs // 50
        of_users = (users * stream.random(some) ** 1.5).astype(np.int64)
        of_items = (items * stream.random(some) ** 2.5).astype(np.int64)
        keys = np.unique(np.concatenate([keys, of_users * items + of_items]))
    keys = stream.permutation(keys)[:pairs]
    parts = (np.arange(pairs) % 100 == 0).astype(np.int8)
    interactions = Interactions(keys // items, keys % items, parts, users, items)
    names = (Vocabulary(kind, [str(one) for one in range(count)]) for kind, count in (("user", users), ("item", items)))
    return Dataset("random", interactions, *names)
