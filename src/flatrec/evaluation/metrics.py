"""Ranking metrics as pure functions of hits and counts, one value a user; every user has a relevant item."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Hits = Bool[Tensor, "n_users k"]
Counts = Int64[Tensor, "n_users"]
PerUser = Float[Tensor, "n_users"]


def recall(hits: Hits, relevant: Counts) -> PerUser:
    """Hits / relevant items."""
    return hits.double().sum(dim=1) / relevant


def precision(hits: Hits, relevant: Counts) -> PerUser:  # noqa: ARG001
    """Hits / length of the list."""
    return hits.double().mean(dim=1)


def hit_rate(hits: Hits, relevant: Counts) -> PerUser:  # noqa: ARG001
    """1 where the list has a hit."""
    return hits.any(dim=1).double()


def ndcg(hits: Hits, relevant: Counts) -> PerUser:
    """Binary gains discounted by log2(rank + 1), over the best that min(k, relevant) hits could reach."""
    discounts = 1 / torch.arange(2, hits.shape[1] + 2, dtype=torch.float64).log2()
    ideal = discounts.cumsum(0)[relevant.clamp(max=hits.shape[1]) - 1]
    return (hits * discounts).sum(dim=1) / ideal


def average_precision(hits: Hits, relevant: Counts) -> PerUser:
    """Precision at each hit, added up, over min(k, relevant)."""
    ranks = torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)
    precisions = hits.cumsum(dim=1) / ranks
    return (precisions * hits).sum(dim=1) / relevant.clamp(max=hits.shape[1])


METRICS = {"recall": recall, "ndcg": ndcg, "precision": precision, "map": average_precision, "hit_rate": hit_rate}
