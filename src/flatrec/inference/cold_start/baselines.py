"""What a model must beat on new items: chance, and likeness to what the user has bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from scipy import sparse
from scipy.special import gammaln
from torch import Tensor

from flatrec.data.features import Features
from flatrec.evaluation import Scorer
from flatrec.graphs.knn import modality_weights
from flatrec.inference.cold_start.nearest_items import IMAGE_WEIGHT
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_


def content_scorer(bought: sparse.csr_array, known: Mapping[str, Features], new: Mapping[str, Features]) -> Scorer:
    """Scores without any learning, of the items described by ``new``, in their order.

    By one modality: the mean, over the user's training items that have it, of the cosine to the new item. The
    modalities that a new item has are mixed as in :mod:`flatrec.inference.cold_start.nearest_items`; an item without
    any scores 0, as does everything for a user without pairs.

    Args:
        bought: training pairs, (n_users, n_known).
        known: features of the items that ``bought`` is about.
        new: features of the items to score, of the same modalities.
    """
    sides = [(_unit(known[name]), _unit(one)) for name, one in new.items()]
    weights = np.array([[share] for share in modality_weights(new.keys(), IMAGE_WEIGHT).values()], dtype=np.float32)
    having = weights * np.stack([one.any(axis=1) for _, one in sides])
    mix = torch.from_numpy(having / np.maximum(having.sum(axis=0), weights.min()))
    counts = [bought @ _flags(of_known) for of_known, _ in sides]

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_new"]:
        users = block.numpy()
        total = torch.zeros(len(block), having.shape[1])
        for (of_known, of_new), number, weight in zip(sides, counts, mix, strict=True):
            means = (bought[users] @ of_known) / np.maximum(number[users], 1)
            total += weight * linear(torch.from_numpy(means.astype(np.float32)), torch.from_numpy(of_new))
        return total

    return score


def expected_at_random(
    relevant: Int64[ndarray, "n_scored"], candidates: Int64[ndarray, "n_scored"], at: Sequence[int]
) -> dict[str, float]:
    """The exact expectation of each metric when the candidates are ranked at random, averaged over users.

    With r relevant ones among n candidates and m = min(k, n), every place of the list is relevant with probability
    r/n: recall m/n, precision m r/(n k), NDCG r/n times the discounts of m places over the best that min(k, r) hits
    reach. Given a hit at place i, each place before it is one with probability (r - 1)/(n - 1), which gives the
    average precision; all m miss with probability C(n - r, m)/C(n, m), which gives the hit rate.

    Args:
        relevant: r of each user, at least 1.
        candidates: n of each user, at least r.
        at: the list lengths k.
    """
    found: dict[str, float] = {}
    r, n = relevant.astype(np.float64), candidates.astype(np.float64)
    for k in at:
        places = np.arange(1, k + 1)
        discounts = 1 / np.log2(places + 1)
        m = np.minimum(k, n)
        listed = places <= m[:, None]
        best = np.minimum(relevant, k)
        before = (places - 1) * ((r - 1) / np.maximum(n - 1, 1))[:, None]
        chances = {
            "recall": m / n,
            "ndcg": r / n * (listed * discounts).sum(axis=1) / discounts.cumsum()[best - 1],
            "precision": m * r / (n * k),
            "map": r / n * (listed * (1 + before) / places).sum(axis=1) / best,
            "hit_rate": 1 - _all_miss(r, n, m),
        }
        found |= {f"{name}@{k}": float(values.mean()) for name, values in chances.items()}
    return found


def _all_miss(
    r: Float[ndarray, "n_scored"], n: Float[ndarray, "n_scored"], m: Float[ndarray, "n_scored"]
) -> Float[ndarray, "n_scored"]:
    """C(n - r, m) / C(n, m), which is 0 where m exceeds n - r."""
    others = np.maximum(n - r, m)
    logs = gammaln(others + 1) - gammaln(others - m + 1) - gammaln(n + 1) + gammaln(n - m + 1)
    chances: ndarray = np.where(n - r >= m, np.exp(logs), 0.0)
    return chances


def _unit(one: Features) -> Float32[ndarray, "n width"]:
    """Rows of length 1; zeros where the modality is missing."""
    rows: ndarray = l2_normalize_(torch.tensor(one.values)).numpy()
    return rows


def _flags(rows: Float32[ndarray, "n width"]) -> Float32[ndarray, "n 1"]:
    """1 where a row is not of zeros."""
    found: ndarray = np.asarray(rows.any(axis=1, keepdims=True))
    return found.astype(np.float32)
