"""Vectors of users and items with groups and different lengths, small enough to be searched by brute force."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy import sparse

from flatrec.inference.ann import IndexSettings, build_index
from flatrec.models.scoring import Vectors

N_USERS, N_ITEMS, DIM = 60, 2000, 12
SETTINGS = IndexSettings(min_items=100, k=10, n_links=12, build_width=16, items_per_step=4)


@cache
def vectors():
    stream = np.random.default_rng(0)
    groups = stream.standard_normal((20, DIM))
    items = groups[stream.integers(20, size=N_ITEMS)] + 0.8 * stream.standard_normal((N_ITEMS, DIM))
    items *= np.exp(0.4 * stream.standard_normal((N_ITEMS, 1)))
    users = groups[stream.integers(20, size=(N_USERS, 2))].mean(axis=1) + 0.5 * stream.standard_normal((N_USERS, DIM))
    return Vectors(*(torch.tensor(table, dtype=torch.float32) for table in (users, items)))


@cache
def seen():
    return sparse.random_array((N_USERS, N_ITEMS), density=0.002, rng=np.random.default_rng(1), format="csr")


@cache
def index():
    return build_index(vectors(), seen(), SETTINGS)
