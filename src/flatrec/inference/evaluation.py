"""How well a recommender answers for the users and items of a data set, which may be another than it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Split
from flatrec.evaluation import EvaluationResult, evaluate_scorer, seen_mask
from flatrec.evaluation.evaluate import Mask, UnknownUsers
from flatrec.evaluation.sampled import N_NEGATIVES
from flatrec.evaluation.scored_users import ScoredUsers, scored_interactions
from flatrec.inference.fold_in import folded_in
from flatrec.inference.matching import indices_in, renumbered
from flatrec.inference.recommender import Recommender


def evaluate_recommender(
    recommender: Recommender,
    dataset: Dataset,
    split: Split = "test",
    *,
    ks: Sequence[int] = (10,),
    metrics: Sequence[str] = ("recall",),
    mask: Mask = "train+valid",
    unknown_users: UnknownUsers = "include",
    users: ScoredUsers = "all",
    sampled_negatives: int = N_NEGATIVES,
) -> EvaluationResult:
    """Return the metrics of a recommender on one split of a data set; users and items are matched by id.

    Users are answered as :meth:`flatrec.inference.recommender.Recommender.recommend` does it: those that it was trained
    on by what it learned, others by their interactions that the mask hides, or else by the most popular items. An item
    that it does not know has no score and is never listed; if it is relevant, it counts as missed. Items that the data
    set does not have are not listed either.

    Args:
        recommender: what is scored.
        dataset: users, items and interactions in splits.
        split: the split whose interactions count as hits.
        ks: the list lengths.
        metrics: names as in ``flatrec list metrics``.
        mask: the interactions that are never listed, and that users without training are judged by.
        unknown_users: whether users without a training interaction in the data set are scored.
        users: which users are scored.
        sampled_negatives: number of items that sampled metrics draw.

    Raises:
        ValueError: the split has no interaction, groups are to be scored and there are none, or a metric is unknown or
            lacks the features it needs.
    """
    older = seen_mask(dataset.interactions, split, "train+valid" if mask == "none" else mask)
    return evaluate_scorer(
        _Scorer(recommender, dataset, older),
        scored_interactions(dataset, users),
        split=split,
        ks=ks,
        mask=mask,
        metrics=metrics,
        unknown_users=unknown_users,
        features=dataset.features,
        sampled_negatives=sampled_negatives,
        released_negatives=dataset.released_negatives,
    )


def count_seen(recommender: Recommender, dataset: Dataset, split: Split = "test") -> int:
    """Return how many interactions of a split of a data set a recommender has seen in its own data."""
    users, items = (
        indices_in(known, ids)[indices]
        for known, ids, indices in zip(
            (recommender.users, recommender.items),
            (dataset.users, dataset.items),
            dataset.interactions.indices(split),
            strict=True,
        )
    )
    known = (users >= 0) & (items >= 0)
    seen = recommender.seen.tocoo()
    n_items = len(recommender.items)
    cells = seen.row.astype(np.int64) * n_items + seen.col
    return int(np.isin(users[known] * n_items + items[known], cells).sum())


class _Scorer:
    """Scores all items of a data set for a block of its users; minus infinity for items that are not known."""

    def __init__(self, recommender: Recommender, dataset: Dataset, older: sparse.csr_array) -> None:
        self.scoring, self.popular = recommender.scoring, recommender.popular
        self.users = indices_in(recommender.users, dataset.users)
        self.items = torch.from_numpy(indices_in(recommender.items, dataset.items))
        learned = recommender.learned[np.maximum(self.users, 0)]
        self.trained: Bool[ndarray, "n_users"] = (self.users >= 0) & learned
        rows: Int64[ndarray, "n_users"] = np.arange(dataset.n_users)
        shape = (dataset.n_users, len(recommender.items))
        histories = renumbered(older, rows, self.items.numpy(), shape)
        self.judged: Bool[ndarray, "n_users"] = ~self.trained & (np.diff(histories.indptr) > 0)
        self.rows = np.cumsum(self.judged) - 1
        self.folded = folded_in(self.scoring, histories[np.flatnonzero(self.judged)], recommender.catalog.popularity)

    def __call__(self, block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores."""
        users = block.cpu().numpy()
        trained, judged = self.trained[users], self.judged[users]
        found = torch.empty(len(users), self.scoring.n_items)
        for where, scoring, indices in (
            (trained, self.scoring, self.users),
            (judged, self.folded, self.rows),
            (~trained & ~judged, self.popular, np.zeros_like(self.users)),
        ):
            if where.any():
                rows = torch.from_numpy(indices[users[where]].astype(np.int64))
                found[torch.from_numpy(where)] = scoring.scores(rows).float().cpu()
        known = self.items >= 0
        scores = torch.full((len(users), len(self.items)), -torch.inf)
        scores[:, known] = found[:, self.items[known]]
        return scores
