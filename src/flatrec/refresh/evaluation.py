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
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation import EvaluationResult, evaluate_scorer, seen_mask
from flatrec.evaluation.evaluate import Mask
from flatrec.inference.fold_in import folded_in
from flatrec.inference.recommender import Recommender
from flatrec.models.scoring import ItemScores


def evaluate_recommender(
    recommender: Recommender,
    dataset: Dataset,
    split: Split = "test",
    *,
    ks: Sequence[int] = (10,),
    metrics: Sequence[str] = ("recall",),
    mask: Mask = "train+valid",
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

    Raises:
        ValueError: the split has no interaction, or a metric is unknown or lacks the features it needs.
    """
    older = seen_mask(dataset.interactions, split, "train+valid" if mask == "none" else mask)
    scorer = _Scorer(recommender, dataset, older)
    return evaluate_scorer(
        scorer, dataset.interactions, split=split, ks=ks, mask=mask, metrics=metrics, features=dataset.features
    )


def count_seen(recommender: Recommender, dataset: Dataset, split: Split = "test") -> int:
    """Return how many interactions of a split of a data set a recommender has seen in its own data."""
    users, items = (
        _indices(ids, known)[indices]
        for ids, known, indices in zip(
            (dataset.users, dataset.items),
            (recommender.users, recommender.items),
            dataset.interactions.indices(split),
            strict=True,
        )
    )
    known_to_it = (users >= 0) & (items >= 0)
    seen = recommender.seen.tocoo()
    n_items = len(recommender.items)
    return int(
        np.isin(users[known_to_it] * n_items + items[known_to_it], seen.row.astype(np.int64) * n_items + seen.col).sum()
    )


class _Scorer:
    """Scores all items of a data set for a block of its users; minus infinity for items that are not known."""

    def __init__(self, recommender: Recommender, dataset: Dataset, older: sparse.csr_array) -> None:
        self.scoring = recommender.scoring
        self.popular = recommender.scoring if isinstance(recommender.scoring, ItemScores) else recommender.popular
        self.users = _indices(dataset.users, recommender.users)
        self.items = torch.from_numpy(_indices(dataset.items, recommender.items))
        self.trained: Bool[ndarray, "n_users"] = (self.users >= 0) & (
            np.diff(recommender.history.indptr)[np.maximum(self.users, 0)] > 0
        )
        histories = _renumbered(older, self.items.numpy(), len(recommender.items))
        self.judged: Bool[ndarray, "n_users"] = ~self.trained & (np.diff(histories.indptr) > 0)
        self.rows = np.cumsum(self.judged) - 1
        self.folded = folded_in(self.scoring, histories[np.flatnonzero(self.judged)], recommender.catalog.popularity)

    def __call__(self, block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores."""
        users = block.cpu().numpy()
        trained, judged = self.trained[users], self.judged[users]
        own_scores = torch.empty(len(users), self.scoring.n_items)
        for where, scoring, indices in (
            (trained, self.scoring, self.users),
            (judged, self.folded, self.rows),
            (~trained & ~judged, self.popular, np.zeros_like(self.users)),
        ):
            if where.any():
                rows = torch.from_numpy(indices[users[where]].astype(np.int64))
                own_scores[torch.from_numpy(where)] = scoring.scores(rows).float().cpu()
        known = self.items >= 0
        scores = torch.full((len(users), len(self.items)), -torch.inf)
        scores[:, known] = own_scores[:, self.items[known]]
        return scores


def _indices(ids: Vocabulary, known: Vocabulary) -> Int64[ndarray, "n"]:
    """Return the index of each id in another vocabulary; -1 for one that is not in it."""
    return np.array([known.index_of(name) if name in known else -1 for name in ids], dtype=np.int64)


def _renumbered(older: sparse.csr_array, items: Int64[ndarray, "n_items"], n_known: int) -> sparse.csr_array:
    """Return interactions by the item indices of a recommender, with weights of 1, without items unknown to it."""
    users = np.repeat(np.arange(older.shape[0]), np.diff(older.indptr))
    columns = items[older.indices]
    known = columns >= 0
    values: ndarray = np.ones(int(known.sum()), dtype=np.float32)
    matrix = sparse.csr_array((values, (users[known], columns[known])), shape=(older.shape[0], n_known))
    matrix.sort_indices()
    return matrix
