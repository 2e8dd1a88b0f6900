"""A trained recommender as a scorer for a data set, if it was trained on no interaction that is held out there."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation.ranking import Scorer
from flatrec.inference.recommender import Recommender


def training_scorer(recommender: Recommender, dataset: Dataset) -> Scorer:
    """Return the scores of a recommender for the users and items of a data set; unknown ones have none.

    Raises:
        ValueError: the recommender was trained on validation or test interactions of the data set.
    """
    users = _indices(dataset.users, recommender.users)
    items = _indices(dataset.items, recommender.catalog.ids)
    _check_history(recommender.history, users, items, dataset)
    known = torch.from_numpy(items >= 0)
    columns = torch.from_numpy(np.maximum(items, 0))

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        rows = torch.from_numpy(users)[block]
        scores = recommender.scoring.scores(rows.clamp_min(0)).float()[:, columns]
        return scores.masked_fill(~known | (rows < 0)[:, None], -torch.inf)

    return score


def _indices(names: Vocabulary, known: Vocabulary) -> Int64[ndarray, "n"]:
    return np.array([known.index_of(name) if name in known else -1 for name in names], dtype=np.int64)


def _check_history(
    history: sparse.csr_array, users: Int64[ndarray, "n_users"], items: Int64[ndarray, "n_items"], dataset: Dataset
) -> None:
    trained = history[np.maximum(users, 0)][:, np.maximum(items, 0)].tocoo()
    there = (users[trained.row] >= 0) & (items[trained.col] >= 0)
    interactions = dataset.interactions
    pairs = interactions.flat_indices(trained.row[there], trained.col[there])
    held_out = interactions.splits > 0
    cells = interactions.flat_indices(interactions.users, interactions.items)
    secret = np.setdiff1d(cells[held_out], cells[~held_out])
    if count := int(np.isin(pairs, secret).sum()):
        raise ValueError(
            f"the recommender was trained on {count} of the validation and test interactions of {dataset.name}, so "
            "that candidates would tell of them; give a run on these data with the same split"
        )
