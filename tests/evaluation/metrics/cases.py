"""Lists and data for tests of metrics."""

from __future__ import annotations

import numpy as np
import torch

from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.evaluation.metrics import EvaluationData, TopK


def interactions_of(train, test, n_users, n_items):
    """Interactions from pairs of user and item."""
    rows = [(*pair, 0) for pair in train] + [(*pair, 2) for pair in test]
    users, items, splits = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Interactions(users, items, splits, n_users, n_items)


def lists_of(items, hits, n_relevant, interactions=None, *, features=None):
    """Lists of items; the scored users are the first ones of the data."""
    interactions = interactions or interactions_of([], [], max(1, len(items)), 1)
    data = EvaluationData(interactions, "test", torch.arange(len(items)), features or {})
    return TopK(items, torch.zeros(items.shape), hits, n_relevant, data)


def listed(rows, interactions, *, features=None):
    """Lists as rows of item indices, -1 for an empty place; hits are found one by one."""
    items = torch.tensor(rows)
    matrix = interactions.matrix("test").toarray() > 0
    hits = [[item >= 0 and bool(matrix[user, item]) for item in row] for user, row in enumerate(rows)]
    n_relevant = torch.from_numpy(matrix[: len(rows)].sum(axis=1))
    return lists_of(items, torch.tensor(hits), n_relevant, interactions, features=features)


def features_of(rows):
    """Features from rows of numbers; None for an item without the modality."""
    width = next(len(row) for row in rows if row is not None)
    values = np.array([row if row is not None else [0.0] * width for row in rows], dtype=np.float32)
    return Features(values, np.array([row is not None for row in rows]))
