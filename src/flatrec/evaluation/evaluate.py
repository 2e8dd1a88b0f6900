"""Score a recommender on one split of a data set by ranking all items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.interactions import Interactions, Split
from flatrec.evaluation.metrics import METRICS, TopK
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank

Mask = Literal["train", "train+valid", "none"]


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The metrics of a recommender on one split.

    Args:
        users: indices of the users who are scored: those with at least one item in the split.
        per_user: one value per user for each metric that has one and each k, such as ``recall@10``.
        metrics: their means, and the metrics of all lists together, such as ``item_coverage@10``.
        n_users_without_training: number of scored users without a training interaction. Nothing is known of them, but
            the means are over them as well, as the metrics are defined over all users with an item in the split.
    """

    users: Int64[Tensor, "n_scored"]
    per_user: dict[str, Float[Tensor, "n_scored"]]
    metrics: dict[str, float]
    n_users_without_training: int = 0


def evaluate(
    users: Float[Tensor, "n_users dim"] | Float[ndarray, "n_users dim"],
    items: Float[Tensor, "n_items dim"] | Float[ndarray, "n_items dim"],
    interactions: Interactions,
    *,
    split: Split = "valid",
    ks: Sequence[int] = (5, 10, 20),
    mask: Mask = "train",
) -> EvaluationResult:
    """Evaluate embeddings, of any library, whose inner products are the scores.

    Args:
        users: one row per user, as a tensor or an array; scored in float32.
        items: one row per item.
        interactions: the interactions of all splits.
        split: the split whose interactions count as hits.
        ks: the list lengths.
        mask: what is never recommended: training interactions as in the field's libraries, or validation interactions
            as well when the test split is scored; none where users come back to the same items (``repeat = true``).

    Raises:
        ValueError: the number of rows differs from the number of users or items, the split has no interaction or is
            the training split, or a list length is below 1.
    """
    shapes = (len(users), len(items))
    if shapes != (interactions.n_users, interactions.n_items):
        raise ValueError(
            f"expected {interactions.n_users} user and {interactions.n_items} item rows, but got {shapes[0]} and "
            f"{shapes[1]}; embeddings and data set must belong together"
        )
    score = inner_product(torch.as_tensor(users).float(), torch.as_tensor(items).float())
    return evaluate_scorer(score, interactions, split=split, ks=ks, mask=mask)


def evaluate_scorer(
    score: Scorer,
    interactions: Interactions,
    *,
    split: Split = "valid",
    ks: Sequence[int] = (5, 10, 20),
    mask: Mask = "train",
) -> EvaluationResult:
    """Evaluate a function that scores all items for a block of users.

    Raises:
        ValueError: the split has no interaction or is the training split, or a list length is below 1.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold list lengths of at least 1, but is {list(ks)}")
    if split == "train":
        raise ValueError(
            "the training split cannot be scored, as its interactions are never recommended; choose valid or test"
        )
    relevant = interactions.matrix(split)
    counts = np.diff(relevant.indptr)
    if not counts.any():
        raise ValueError(f"the {split} split has no interaction, so there is nothing to score; split the data again")
    users = torch.from_numpy(np.flatnonzero(counts))
    ranking = rank(score, users, max(ks), seen_mask(interactions, split, mask))
    lists = TopK(
        ranking.items,
        _hits(ranking, relevant, users),
        torch.from_numpy(counts[counts > 0].astype(np.int64)),
        torch.tensor(interactions.item_counts("train"), dtype=torch.float64),
    )
    cuts = {k: lists.cut(k) for k in ks}
    values = {f"{name}@{k}": metric.compute(cut) for k, cut in cuts.items() for name, metric in METRICS.items()}
    per_user = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    metrics = {name: float(value.mean()) if isinstance(value, Tensor) else value for name, value in values.items()}
    return EvaluationResult(users, per_user, metrics, len(interactions.users_without_training(split)))


def seen_mask(interactions: Interactions, split: Split, mask: Mask) -> sparse.csr_array:
    """Return the interactions that are never recommended when a split is scored."""
    if mask == "none":
        nothing = np.zeros(0, dtype=np.int32)
        return sparse.csr_array((nothing, (nothing, nothing)), shape=(interactions.n_users, interactions.n_items))
    seen = interactions.matrix("train")
    if mask == "train+valid" and split == "test":
        seen = sparse.csr_array(seen + interactions.matrix("valid"))
    return seen


def _hits(ranking: Ranking, relevant: sparse.csr_array, users: Int64[Tensor, "n_scored"]) -> Bool[Tensor, "n_scored k"]:
    """Return which listed items are relevant, by one binary search over all relevant interactions."""
    n_items = relevant.shape[1]
    owners = np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))
    keys = torch.from_numpy(owners * n_items + relevant.indices)
    listed = users[:, None] * n_items + ranking.items
    positions = torch.searchsorted(keys, listed).clamp_(max=len(keys) - 1)
    return (keys[positions] == listed) & (ranking.items >= 0)
