"""Recommenders whose answers are known, and blocks so small that tiny exports have several."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.export import blocks
from flatrec.inference.recommender import Facts, Recommender
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors


def catalog(n_items, popularity=None):
    return Catalog(
        ids=Vocabulary("item", [f"i{index}" for index in range(n_items)]),
        popularity=np.arange(n_items, 0, -1, dtype=np.float64) if popularity is None else popularity,
        new=np.zeros(n_items, dtype=np.bool_),
        columns=pl.DataFrame({"price": [float(index) for index in range(n_items)]}),
    )


def recommender_of(scoring, seen):
    matrix = sparse.csr_array(np.asarray(seen, dtype=np.float32))
    users = Vocabulary("user", [f"u{index}" for index in range(scoring.n_users)])
    return Recommender(scoring, users, catalog(scoring.n_items), matrix, matrix, facts=Facts("bpr"))


@pytest.fixture
def by_hand():
    """Two users who have seen one item each, and one of whom nothing is known; four items.

    The scores are 4, 3, 2, 1 for u0 and 0, 2, 0.5, 1 for u1; u2 gets the most popular items, i0 first.
    """
    users = torch.tensor([[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
    items = torch.tensor([[4.0, 0.0], [3.0, 2.0], [2.0, 0.5], [1.0, 1.0]])
    seen = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    return recommender_of(Vectors(users, items), seen)


def drawn(n_users=23, n_items=17, dim=5, seed=0, kind="vectors"):
    """A recommender of random numbers; about a third of the items are seen, and user 3 has no interaction."""
    draw = np.random.default_rng(seed)
    seen = draw.random((n_users, n_items)) < 0.3
    seen[3] = False
    if kind == "vectors":
        vectors = [torch.from_numpy(draw.standard_normal((n, dim), dtype=np.float32)) for n in (n_users, n_items)]
        return recommender_of(Vectors(*vectors), seen)
    if kind == "item-matrix":
        similarities = draw.random((n_items, n_items), dtype=np.float32) * (draw.random((n_items, n_items)) < 0.5)
        profiles = sparse.csr_array(seen.astype(np.float32))
        return recommender_of(ItemMatrix(profiles, sparse.csr_array(similarities)), seen)
    return recommender_of(ItemScores(torch.from_numpy(draw.random(n_items, dtype=np.float32)), n_users), seen)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of four lists."""
    monkeypatch.setattr(blocks, "BLOCK_USERS", 4)
    monkeypatch.setattr(blocks, "BLOCK_SCORES", 4)
    monkeypatch.setattr(blocks, "BLOCK_LISTS", 4)
