"""The metrics of top-k lists; this file is all that a new one needs.

A metric is a function of :class:`TopK` and an entry of ``METRICS``. Where the expectation of a random order is known, a
function of :class:`RandomOrder` beside it gives it, as the cold-start evaluation reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from scipy.special import gammaln
from torch import Tensor

PerUser = Float[Tensor, "n_users"]


@dataclass(frozen=True, eq=False)
class TopK:
    """The lists of k items of all scored users, each of whom has at least one relevant item."""

    items: Int64[Tensor, "n_users k"]  # listed items, best first; -1 where a list has no more items
    hits: Bool[Tensor, "n_users k"]  # whether the listed item is relevant
    n_relevant: Int64[Tensor, "n_users"]  # number of relevant items of each user
    popularity: Float64[Tensor, "n_items"]  # number of training interactions of each item

    @property
    def k(self) -> int:
        """Length of a list."""
        return self.hits.shape[1]

    def cut(self, k: int) -> TopK:
        """Return the first k items of each list."""
        return TopK(self.items[:, :k], self.hits[:, :k], self.n_relevant, self.popularity)

    @cached_property
    def item_counts(self) -> Int64[Tensor, "n_items"]:
        """Number of lists that each item is in."""
        listed = self.items.flatten()
        return torch.bincount(listed[listed >= 0], minlength=len(self.popularity))


@dataclass(frozen=True, eq=False)
class RandomOrder:
    """Lists of k items in random order: each rank holds a relevant item with probability r / n."""

    k: int  # length of a list
    r: Int64[ndarray, "n_users"]  # number of relevant items of each user, at least 1
    n: Int64[ndarray, "n_users"]  # number of items that may be listed for each user, at least r

    @property
    def m(self) -> Int64[ndarray, "n_users"]:
        """Number of items in each list: min(k, n)."""
        lengths: ndarray = np.minimum(self.k, self.n)
        return lengths

    def sum_over_list(self, values: Float64[ndarray, "..."]) -> Float64[ndarray, "n_users"]:
        """Return the sum of values by rank, for all users alike or for each, over the m ranks of the list."""
        sums: ndarray = ((np.arange(1, self.k + 1) <= self.m[:, None]) * values).sum(axis=1)
        return sums


def recall(lists: TopK) -> PerUser:
    """Return hits / relevant items."""
    return lists.hits.double().sum(dim=1) / lists.n_relevant


def recall_at_random(order: RandomOrder) -> Float64[ndarray, "n_users"]:
    """Return m / n."""
    expected: ndarray = order.m / order.n
    return expected


def ndcg(lists: TopK) -> PerUser:
    """Return binary gains discounted by log2(rank + 1), over the best that min(k, relevant) hits could reach."""
    discounts = 1 / torch.arange(2, lists.k + 2, dtype=torch.float64).log2()
    ideal = discounts.cumsum(0)[lists.n_relevant.clamp(max=lists.k) - 1]
    return (lists.hits * discounts).sum(dim=1) / ideal


def ndcg_at_random(order: RandomOrder) -> Float64[ndarray, "n_users"]:
    """Return r / n times the discounts of m ranks, over the best that min(k, r) hits could reach."""
    discounts = 1 / np.log2(np.arange(2, order.k + 2))
    best = discounts.cumsum()[np.minimum(order.k, order.r) - 1]
    expected: ndarray = order.r / order.n * order.sum_over_list(discounts) / best
    return expected


def precision(lists: TopK) -> PerUser:
    """Return hits / length of the list."""
    return lists.hits.double().mean(dim=1)


def precision_at_random(order: RandomOrder) -> Float64[ndarray, "n_users"]:
    """Return m r / (n k)."""
    expected: ndarray = order.m * order.r / (order.n * order.k)
    return expected


def average_precision(lists: TopK) -> PerUser:
    """Return the precision at each hit, added up, over min(k, relevant)."""
    ranks = torch.arange(1, lists.k + 1, dtype=torch.float64)
    precisions = lists.hits.cumsum(dim=1) / ranks
    return (precisions * lists.hits).sum(dim=1) / lists.n_relevant.clamp(max=lists.k)


def average_precision_at_random(order: RandomOrder) -> Float64[ndarray, "n_users"]:
    """Return the expectation, in which each item before a hit is a hit with probability (r - 1) / (n - 1)."""
    ranks = np.arange(1, order.k + 1)
    before = (ranks - 1) * ((order.r - 1) / np.maximum(order.n - 1, 1))[:, None]
    expected: ndarray = order.r / order.n * order.sum_over_list((1 + before) / ranks) / np.minimum(order.k, order.r)
    return expected


def hit_rate(lists: TopK) -> PerUser:
    """Return 1 if the list has a hit, else 0."""
    return lists.hits.any(dim=1).double()


def hit_rate_at_random(order: RandomOrder) -> Float64[ndarray, "n_users"]:
    """Return 1 - C(n - r, m) / C(n, m); the subtracted part is 0 where m exceeds n - r."""
    r, n, m = order.r, order.n, order.m
    others = np.maximum(n - r, m)
    logs = gammaln(others + 1) - gammaln(others - m + 1) - gammaln(n + 1) + gammaln(n - m + 1)
    expected: ndarray = 1 - np.where(n - r >= m, np.exp(logs), 0.0)
    return expected


def item_coverage(lists: TopK) -> float:
    """Return the fraction of all items that are in at least one list."""
    return int(lists.item_counts.count_nonzero()) / len(lists.popularity)


def avg_popularity(lists: TopK) -> float:
    """Return the mean number of training interactions of the listed items."""
    counts = lists.item_counts
    return float(counts.double() @ lists.popularity) / max(1, int(counts.sum()))


@dataclass(frozen=True)
class Metric:
    """A metric of top-k lists."""

    compute: Callable[[TopK], PerUser] | Callable[[TopK], float]  # one value per user, or one of all lists
    title: str  # how tables and figures call it
    at_random: Callable[[RandomOrder], Float64[ndarray, "n_users"]] | None = None  # its expectation, if reported
    depends_on_order: bool = False  # if not, it says nothing where k items are all
    monitorable: bool = True  # whether it can choose the best epoch: larger values are better


METRICS: dict[str, Metric] = {
    "recall": Metric(recall, "Recall", recall_at_random),
    "ndcg": Metric(ndcg, "NDCG", ndcg_at_random, depends_on_order=True),
    "precision": Metric(precision, "Precision", precision_at_random),
    "map": Metric(average_precision, "MAP", average_precision_at_random, depends_on_order=True),
    "hit_rate": Metric(hit_rate, "Hit rate", hit_rate_at_random),
    "item_coverage": Metric(item_coverage, "Item coverage", monitorable=False),
    "avg_popularity": Metric(avg_popularity, "Average popularity", monitorable=False),
}
