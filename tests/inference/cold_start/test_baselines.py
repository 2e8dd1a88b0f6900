"""Chance against simulation, and content by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.evaluation import evaluate_scorer
from flatrec.inference.cold_start.baselines import content_scorer, expected_at_random

KS = (1, 3, 5, 12)


def test_chance_is_the_mean_of_many_random_rankings():
    # User 0 has 1 of 9 candidates to find, user 1 four of 7, user 2 all of its 2.
    users = np.array([0, 0, *[1] * 3, *[1] * 4, *[2] * 8, *[2] * 2])
    items = np.array([0, 4, 0, 1, 2, 3, 5, 7, 9, *range(8), 8, 9])
    parts = np.array([0, 2, *[0] * 3, *[2] * 4, *[0] * 8, *[2] * 2])
    exact = expected_at_random(np.array([1, 4, 2]), np.array([9, 7, 2]), KS)
    copies = np.arange(5000).repeat(len(users))
    many = Interactions(np.tile(users, 5000) + 3 * copies, np.tile(items, 5000), np.tile(parts, 5000), 15_000, 10)
    scores = torch.rand(15_000, 10, generator=torch.Generator().manual_seed(0))
    found = evaluate_scorer(lambda block: scores[block], many, split="test", ks=KS).metrics
    assert {name: found[name] for name in exact} == pytest.approx(exact, abs=0.01)
    assert set(exact) == {f"{name}@{k}" for name in ("recall", "ndcg", "precision", "map", "hit_rate") for k in KS}


def test_chance_by_hand():
    found = expected_at_random(np.array([2]), np.array([4]), (1, 2))
    assert found["recall@2"] == pytest.approx(2 / 4)
    assert found["precision@1"] == pytest.approx(1 / 2)
    assert found["hit_rate@2"] == pytest.approx(5 / 6)
    assert found["map@2"] == pytest.approx((1 / 2 + 1 / 2 * (1 + 1 / 3) / 2) / 2)


def test_content_is_the_mean_cosine_to_what_was_bought():
    flags = np.array([True, True, False])
    known = {
        "image": Features(np.array([[2, 0], [0, 3], [9, 9]], dtype=np.float32), flags),
        "text": Features(np.array([[1, 0], [3, 4], [0, 5]], dtype=np.float32), np.ones(3, dtype=bool)),
    }
    new = {
        "image": Features(np.array([[1, 0], [1, 0], [1, 1]], dtype=np.float32), flags),
        "text": Features(np.array([[0, 2], [0, 1], [1, 0]], dtype=np.float32), np.array([True, False, False])),
    }
    bought = sparse.csr_array(np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=np.float32))
    found = content_scorer(bought, known, new)(torch.tensor([0, 1, 2]))
    # User 0: by images (1 + 0) / 2, of two items that have one; by text (0 + 0.8 + 1) / 3.
    expected = [[0.1 * 0.5 + 0.9 * 0.6, 0.5, 0], [0.9, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(found, torch.tensor(expected))
