"""Score a recommender on one part of a data set by ranking all items."""

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
from flatrec.evaluation.metrics import METRICS
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank

Mask = Literal["train", "train+valid"]


@dataclass(frozen=True, eq=False)
class Result:
    """What an evaluation found.

    Args:
        users: the users scored: those with at least one item in the part.
        per_user: one value a user for each metric and cut, e.g. ``recall@10``.
        metrics: their means, and ``item_coverage@K`` (share of all items that are in some list) and
            ``avg_popularity@K`` (mean number of training pairs of the items listed).
        untrained: how many of the users have no training pair. Nothing is known of them, but the means are over them
            as well, as the definition has it: over all users with at least one item in the part.
    """

    users: Int64[Tensor, "n_scored"]
    per_user: dict[str, Float[Tensor, "n_scored"]]
    metrics: dict[str, float]
    untrained: int = 0


def evaluate(
    users: Float[Tensor, "n_users dim"] | Float[ndarray, "n_users dim"],
    items: Float[Tensor, "n_items dim"] | Float[ndarray, "n_items dim"],
    interactions: Interactions,
    *,
    split: Split = "valid",
    ks: Sequence[int] = (5, 10, 20),
    mask: Mask = "train",
) -> Result:
    """Evaluate representations whose inner products rank; any library's will do.

    Args:
        users: one row a user, as a tensor or an array; scored in float32.
        items: one row an item.
        interactions: the pairs, split.
        split: which part's pairs count as hits.
        ks: the list lengths.
        mask: what is never recommended; training pairs as in the field's libraries, or validation pairs as well
            when the test part is scored.

    Raises:
        ValueError: another number of rows than users or items, the part has no pair or is the training part, or a
            list length is below 1.
    """
    shapes = (len(users), len(items))
    if shapes != (interactions.n_users, interactions.n_items):
        raise ValueError(
            f"expected {interactions.n_users} user and {interactions.n_items} item rows, but got {shapes[0]} and "
            f"{shapes[1]}; representations and data set must belong together"
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
) -> Result:
    """The same for anything that scores all items for a block of users.

    Raises:
        ValueError: the part has no pair or is the training part, or a list length is below 1.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold list lengths of at least 1, but is {list(ks)}")
    if split == "train":
        raise ValueError("the training part cannot be scored, its pairs are never recommended; choose valid or test")
    relevant = interactions.matrix(split)
    counts = np.diff(relevant.indptr)
    if not counts.any():
        raise ValueError(f"the {split} part has no pair, so there is nothing to score; split the data again")
    users = torch.from_numpy(np.flatnonzero(counts))
    ranking = rank(score, users, max(ks), seen_mask(interactions, split, mask))
    hits = _hits(ranking, relevant, users)
    numbers = torch.from_numpy(counts[counts > 0].astype(np.int64))
    per_user = {f"{name}@{k}": metric(hits[:, :k], numbers) for k in ks for name, metric in METRICS.items()}
    metrics = {name: float(values.mean()) for name, values in per_user.items()}
    popularity = torch.tensor(interactions.item_counts("train")).double()
    for k in ks:
        listed = ranking.items[:, :k].flatten()
        listed = listed[listed >= 0]
        listings = torch.bincount(listed, minlength=interactions.n_items)
        metrics[f"item_coverage@{k}"] = int(listings.count_nonzero()) / interactions.n_items
        metrics[f"avg_popularity@{k}"] = float(listings.double() @ popularity) / max(1, len(listed))
    return Result(users, per_user, metrics, len(interactions.users_without_training(split)))


def seen_mask(interactions: Interactions, split: Split, mask: Mask) -> sparse.csr_array:
    """The pairs that are never recommended when a part is scored."""
    hidden = interactions.matrix("train")
    if mask == "train+valid" and split == "test":
        hidden = sparse.csr_array(hidden + interactions.matrix("valid"))
    return hidden


def _hits(ranking: Ranking, relevant: sparse.csr_array, users: Int64[Tensor, "n_scored"]) -> Bool[Tensor, "n_scored k"]:
    """Which listed items are relevant, by one binary search over all relevant pairs."""
    n_items = relevant.shape[1]
    owners = np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))
    keys = torch.from_numpy(owners * n_items + relevant.indices)
    wanted = users[:, None] * n_items + ranking.items
    places = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return (keys[places] == wanted) & (ranking.items >= 0)
