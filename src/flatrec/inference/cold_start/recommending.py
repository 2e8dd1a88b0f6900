"""Recommend new items, alone or among the known ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy import sparse

from flatrec.data.interactions import SPLITS
from flatrec.evaluation import inner_product, rank
from flatrec.inference.cold_start.embeddings import Placed
from flatrec.inference.run import Recommendation, Run


def recommend(
    run: Run, placed: Placed, users: Sequence[str], *, k: int = 10, with_known: bool = False
) -> list[list[Recommendation]]:
    """The k best new items for each user.

    Args:
        run: what the items were placed with.
        placed: the new items.
        users: original ids.
        k: length of a list; shorter where there are fewer items.
        with_known: known items are listed too, as far as the user has no pair with them, in any part.

    Raises:
        KeyError: an id is not in the data set.
        ValueError: k is below 1.
    """
    dataset = run.dataset
    numbers = torch.tensor([dataset.users.index_of(name) for name in users], dtype=torch.int64)
    ids = [*(dataset.items if with_known else ()), *placed.items.ids]
    items = torch.cat([placed.known, placed.new]) if with_known else placed.new
    ranking = rank(inner_product(placed.users, items), numbers, min(k, len(ids)), _hidden(run, len(ids), with_known))
    titles = dataset.titles if with_known and dataset.titles else ()
    images = dataset.images if with_known and dataset.images else ()
    return [
        [
            Recommendation(
                ids[item],
                score,
                titles[item] if item < len(titles) else None,
                images[item] if item < len(images) else None,
            )
            for item, score in zip(*one, strict=True)
            if item >= 0
        ]
        for one in zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
    ]


def _hidden(run: Run, n_items: int, with_known: bool) -> sparse.csr_array:
    """The pairs that are never listed: all those of the user."""
    pairs = run.dataset.interactions
    hidden = sparse.csr_array((pairs.n_users, n_items))
    if with_known:
        train, *others = (pairs.matrix(split) for split in SPLITS)
        known = sparse.csr_array(sum(others, start=train))
        hidden = sparse.csr_array((known.data, known.indices, known.indptr), shape=(pairs.n_users, n_items))
    return hidden
