"""Baselines that a model must beat on new items: chance, and similarity to what the user has interacted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.features import Features
from flatrec.evaluation import Scorer
from flatrec.evaluation.metrics import METRICS, ExpectedMetric, RandomOrder
from flatrec.graphs.knn import modality_weights
from flatrec.inference.nearest_items import IMAGE_WEIGHT
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_


def content_scorer(
    interactions: sparse.csr_array, known_items: Mapping[str, Features], items: Mapping[str, Features]
) -> Scorer:
    """Return a scorer of items by their features, without any learning.

    By one modality, the score is the mean cosine between the item and those of the user's training items that have
    the modality. The modalities that an item has are weighted as in
    :mod:`flatrec.inference.nearest_items`; an item without any scores 0, and so does every item for a user
    without interactions.

    Args:
        interactions: training interactions, (n_users, n_known).
        known_items: features of the items of ``interactions``.
        items: features of the items to score, of the same modalities.
    """
    tables = [(_normalized(known_items[name]), _normalized(features)) for name, features in items.items()]
    weights = np.array([[weight] for weight in modality_weights(items.keys(), IMAGE_WEIGHT).values()], dtype=np.float32)
    available = weights * np.stack([of_items.any(axis=1) for _, of_items in tables])
    mix = torch.from_numpy(available / np.maximum(available.sum(axis=0), weights.min()))
    counts = [interactions @ _nonzero(of_known) for of_known, _ in tables]

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        users = block.numpy()
        total = torch.zeros(len(block), available.shape[1])
        for (of_known, of_items), count, weight in zip(tables, counts, mix, strict=True):
            means = (interactions[users] @ of_known) / np.maximum(count[users], 1)
            total += weight * linear(torch.from_numpy(means.astype(np.float32)), torch.from_numpy(of_items))
        return total

    return score


def expected_at_random(
    n_relevant: Int64[ndarray, "n_scored"], n_candidates: Int64[ndarray, "n_scored"], ks: Sequence[int]
) -> dict[str, float]:
    """Return the exact expectation of each metric that states one, for candidates in random order, averaged over users.

    Args:
        n_relevant: number of relevant items of each user, at least 1.
        n_candidates: number of candidates of each user, at least that of relevant items.
        ks: the list lengths.
    """
    return {
        f"{name}@{k}": float(metric.at_random(RandomOrder(k, n_relevant, n_candidates)).mean())
        for k in ks
        for name, metric in METRICS.items()
        if isinstance(metric, ExpectedMetric)
    }


def _normalized(features: Features) -> Float32[ndarray, "n width"]:
    """Return the rows scaled to length 1; zeros where the modality is missing."""
    rows: ndarray = l2_normalize_(torch.tensor(features.values)).numpy()
    return rows


def _nonzero(rows: Float32[ndarray, "n width"]) -> Float32[ndarray, "n 1"]:
    nonzero: ndarray = np.asarray(rows.any(axis=1, keepdims=True))
    return nonzero.astype(np.float32)
