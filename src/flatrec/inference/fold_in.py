"""Users who were not trained on, from a history of items."""

from __future__ import annotations

from scipy import sparse

from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, Vectors


def fold_in(scoring: Scoring, histories: sparse.csr_array) -> Scoring:
    """Return how scores are made for users with these histories, (n, n_items), whose indices are the rows."""
    if isinstance(scoring, ItemMatrix):
        return ItemMatrix(histories, scoring.similarities)
    if isinstance(scoring, ItemScores):
        return ItemScores(scoring.values, histories.shape[0])
    import torch

    return Vectors(torch.from_numpy(histories @ scoring.items.numpy()), scoring.items)
