"""What a language model is shown of users: some of their training interactions, and candidates to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.data.augmentation import NOBODY
from flatrec.data.dataset import Dataset
from flatrec.evaluation.ranking import Scorer, rank
from flatrec.models.item_knn import ItemKNN
from flatrec.utils import seeding


def histories(dataset: Dataset, allowed: Bool[ndarray, "n_items"], longest: int) -> list[Int64[ndarray, "n_shown"]]:
    """Return for each user the items of its training interactions that a prompt shows, the newest last.

    Of a longer history the newest are shown. Without times they are picked evenly in the order of the item ids, which
    does not depend on other users, so that new data change few prompts.

    Args:
        dataset: the data; validation and test interactions are not looked at.
        allowed: the items that can be shown.
        longest: largest number of items.
    """
    train = dataset.interactions.take(dataset.interactions.mask("train"))
    train = train.take(allowed[train.items])
    times = np.zeros(len(train), dtype=np.int64) if train.timestamps is None else train.timestamps
    order = np.lexsort((train.items, times, train.users))
    items = train.items[order].astype(np.int64)
    ends = np.cumsum(np.bincount(train.users, minlength=dataset.n_users))
    parts = np.split(items, ends[:-1])
    if train.timestamps is not None:
        return [part[-longest:] for part in parts]
    return [
        part[np.linspace(0, len(part) - 1, longest).astype(np.int64)] if len(part) > longest else part for part in parts
    ]


def item_knn_scorer(dataset: Dataset) -> Scorer:
    """Return the scores of item-kNN on the training interactions; items that resemble none of a user's have none."""
    scoring = ItemKNN(dataset).scoring()

    def score(users: Int64[Tensor, "block"]) -> Tensor:
        scores = scoring.scores(users)
        return scores.masked_fill(scores <= 0, -torch.inf)

    return score


def candidates(
    dataset: Dataset, allowed: Bool[ndarray, "n_items"], n_candidates: int, scorer: Scorer | None = None
) -> Int64[ndarray, "n_users n_candidates"]:
    """Return for each user the best items that it has no training interaction with, in random order; -1 for none.

    By default item-kNN scores them: it needs no training, so that the command needs no run, and its lists hold what
    similar users chose, which is where a choice between two items says something. The order is random, and the same
    for each user every time, so that a language model that prefers the first of a list prefers nothing by its rank.
    Items of validation and test are treated as any others: to leave them out would tell what they are.

    Args:
        dataset: the data; only training interactions are looked at.
        allowed: the items that can be shown; of these, only items with a training interaction are candidates.
        n_candidates: number of candidates per user.
        scorer: scores all items for a block of users; item-kNN if left out.
    """
    trained = dataset.interactions.item_counts("train") > 0
    users = torch.arange(dataset.n_users)
    seen = dataset.interactions.matrix("train")
    score = scorer or item_knn_scorer(dataset)
    best = rank(score, users, n_candidates, seen, allowed=torch.from_numpy(allowed & trained)).items.numpy()
    for user, row in enumerate(best):
        generator = seeding.generator(0, f"candidates of {dataset.users[user]}")
        best[user] = row[torch.randperm(len(row), generator=generator).numpy()]
    found: Int64[ndarray, "n_users n_candidates"] = best
    return found


def shown_interactions(histories: Mapping[int, Sequence[int]]) -> Int64[ndarray, "n_shown two"]:
    """Return user and item of each interaction in the histories of some users, by user."""
    pairs = [(user, item) for user, items in histories.items() for item in items]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def without_empty(row: Int64[ndarray, "n_candidates"]) -> list[int]:
    """Return the candidates in a row."""
    return [item for item in row.tolist() if item != NOBODY]
