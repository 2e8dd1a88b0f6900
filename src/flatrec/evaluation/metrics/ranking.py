"""Metrics of where the relevant items are in a list.

Recall, NDCG, precision, average precision and hit rate are as in MMRec and RecBole; the reciprocal rank is as in
ranx and TREC (https://amenra.github.io/ranx/metrics/).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from scipy.special import gammaln

from flatrec.evaluation.metrics.base import ExpectedMetric, Metric, PerUser, RandomOrder
from flatrec.evaluation.metrics.lists import TopK


class Recall(ExpectedMetric):
    """Fraction of the relevant items that are in the list."""

    title = "Recall"
    definition = "Hits in the list / relevant items of the user."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return hits / relevant items."""
        return lists.hits.double().sum(dim=1) / lists.n_relevant

    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return m / n."""
        expected: ndarray = order.m / order.n
        return expected


class NDCG(ExpectedMetric):
    """Normalized discounted cumulative gain with binary gains."""

    title = "NDCG"
    definition = "Sum of 1 / log2(rank + 1) over the hits / the largest sum that min(K, relevant items) hits can have."
    higher_is_better = True
    depends_on_order = True

    def compute(self, lists: TopK) -> PerUser:
        """Return binary gains discounted by log2(rank + 1), over the best that min(k, relevant) hits could reach."""
        discounts = 1 / torch.arange(2, lists.k + 2, dtype=torch.float64).log2()
        ideal = discounts.cumsum(0)[lists.n_relevant.clamp(max=lists.k) - 1]
        return (lists.hits * discounts).sum(dim=1) / ideal

    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return r / n times the discounts of m ranks, over the best that min(k, r) hits could reach."""
        discounts = 1 / np.log2(np.arange(2, order.k + 2))
        best = discounts.cumsum()[np.minimum(order.k, order.r) - 1]
        expected: ndarray = order.r / order.n * order.sum_over_list(discounts) / best
        return expected


class Precision(ExpectedMetric):
    """Fraction of the list that is relevant."""

    title = "Precision"
    definition = "Hits in the list / K."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return hits / length of the list."""
        return lists.hits.double().mean(dim=1)

    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return m r / (n k)."""
        expected: ndarray = order.m * order.r / (order.n * order.k)
        return expected


class AveragePrecision(ExpectedMetric):
    """Average precision, whose mean over users is MAP."""

    title = "MAP"
    definition = "Precision at the rank of each hit, added up / min(K, relevant items)."
    higher_is_better = True
    depends_on_order = True

    def compute(self, lists: TopK) -> PerUser:
        """Return the precision at each hit, added up, over min(k, relevant)."""
        ranks = torch.arange(1, lists.k + 1, dtype=torch.float64)
        precisions = lists.hits.cumsum(dim=1) / ranks
        return (precisions * lists.hits).sum(dim=1) / lists.n_relevant.clamp(max=lists.k)

    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return the expectation, in which each item before a hit is a hit with probability (r - 1) / (n - 1)."""
        ranks = np.arange(1, order.k + 1)
        before = (ranks - 1) * ((order.r - 1) / np.maximum(order.n - 1, 1))[:, None]
        expected: ndarray = order.r / order.n * order.sum_over_list((1 + before) / ranks) / np.minimum(order.k, order.r)
        return expected


class HitRate(ExpectedMetric):
    """Whether the list has a hit."""

    title = "Hit rate"
    definition = "1 if the list has a hit, else 0."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return 1 if the list has a hit, else 0."""
        return lists.hits.any(dim=1).double()

    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return 1 - C(n - r, m) / C(n, m); the subtracted part is 0 where m exceeds n - r."""
        r, n, m = order.r, order.n, order.m
        others = np.maximum(n - r, m)
        logs = gammaln(others + 1) - gammaln(others - m + 1) - gammaln(n + 1) + gammaln(n - m + 1)
        expected: ndarray = 1 - np.where(n - r >= m, np.exp(logs), 0.0)
        return expected


class ReciprocalRank(Metric):
    """Reciprocal rank, whose mean over users is MRR."""

    title = "MRR"
    definition = "1 / rank of the first hit, 0 without a hit in the list."
    higher_is_better = True
    depends_on_order = True

    def compute(self, lists: TopK) -> PerUser:
        """Return the largest reciprocal rank of a hit."""
        ranks = torch.arange(1, lists.k + 1, dtype=torch.float64)
        return (lists.hits / ranks).amax(dim=1)
