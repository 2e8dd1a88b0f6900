"""The lists of a request: each user is answered by the path that what is known of the user allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.evaluation.ranking import HiddenItems, Ranking, rank_rows
from flatrec.inference.ann.index import ItemIndex
from flatrec.inference.ann.search import Request, rank_by_index
from flatrec.inference.answers import AnswerPath, ItemList, ItemLists, Ranked
from flatrec.inference.audience import Audience
from flatrec.inference.descriptions import described, note_of
from flatrec.inference.explain import explained
from flatrec.inference.fold_in import FoldIn, folded_in
from flatrec.inference.request import ListRequest
from flatrec.inference.rerank import BestOf, Reranker
from flatrec.models.scoring import ItemScores, Scoring, Vectors

if TYPE_CHECKING:
    from flatrec.inference.recommender import Recommender


def make_lists(recommender: Recommender, request: ListRequest, *, explain: bool) -> ItemLists:
    """Return the lists of a request with all that is shown of them.

    Args:
        recommender: what answers.
        request: the request.
        explain: whether each item names the user's own items that contributed most to its score.

    Raises:
        ValueError: k is below 1, a filter is malformed, or the items cannot be re-ranked so.
    """
    mask, n_items = request.filters.allowed(recommender.catalog), len(recommender.items)
    ranked = _rank(recommender, request, mask)
    histories = [request.histories.get(user, ()) for user in request.users]
    lists = [
        described(indices, scores, recommender.catalog)
        for indices, scores in zip(ranked.items, ranked.scores, strict=True)
    ]
    notes = [
        note_of(
            recommender,
            user,
            path=path,
            history=history,
            listed=listed,
            n_wanted=min(request.k, n_items),
            n_allowed=n_items if mask is None else int(mask.sum()),
            rerank=request.rerank,
        )
        for user, path, history, listed in zip(request.users, ranked.paths, histories, lists, strict=True)
    ]
    if explain:
        lists = [
            explained(recommender, listed, user=user, path=path, history=history, fold_in=request.fold_in)
            for user, path, history, listed in zip(request.users, ranked.paths, histories, lists, strict=True)
        ]
    return ItemLists(ItemList(*parts) for parts in zip(lists, ranked.paths, request.users, notes, strict=True))


def rank_lists(recommender: Recommender, request: ListRequest) -> Ranked:
    """Return the lists of a request by item index.

    Raises:
        ValueError: k is below 1, a filter is malformed, or the items cannot be re-ranked so.
    """
    return _rank(recommender, request, request.filters.allowed(recommender.catalog))


def _rank(recommender: Recommender, request: ListRequest, mask: Bool[ndarray, "n_items"] | None) -> Ranked:
    """Return the lists of a request among the items that its filters allow, which ``mask`` says; None for all."""
    catalog, filters = recommender.catalog, request.filters
    users, k = request.users, min(request.k, len(catalog))
    audience = Audience.of(
        users,
        request.histories,
        known_users=recommender.users,
        known_items=recommender.items,
        training=recommender.history,
        by_members=recommender.by_members,
    )
    filter_seen = recommender.filter_seen if filters.filter_seen is None else filters.filter_seen
    excluded = audience.excluded(filters, recommender.items, recommender.seen if filter_seen else None)
    allowed = None if mask is None else torch.from_numpy(mask)
    items = torch.full((len(users), max(k, 1)), -1, dtype=torch.int64)
    scores = torch.full((len(users), max(k, 1)), -torch.inf)
    paths: list[AnswerPath] = ["popular"] * len(users)
    reranker = None if request.rerank is None else Reranker.of(request.rerank, catalog, recommender.scoring)
    for path, positions in audience.by_path():
        scoring, rows = _scoring_of(recommender, path, audience, positions, settings=request.fold_in)
        hidden = excluded if len(positions) == len(users) else excluded.take(positions)
        best = _best_of(scoring, rows, hidden, allowed, index=recommender.index)
        of_path = best(k, None) if reranker is None else reranker.lists(best, k)
        items[positions], scores[positions] = of_path.items, of_path.scores
        for position in positions.tolist():
            paths[position] = "popular" if isinstance(scoring, ItemScores) else path
    return Ranked(items, scores, tuple(paths))


def _scoring_of(
    recommender: Recommender,
    path: AnswerPath,
    audience: Audience,
    positions: Int64[ndarray, "n"],
    *,
    settings: FoldIn,
) -> tuple[Scoring, Int64[Tensor, "n"]]:
    """Return how the scores of the users of a path are made, and the index of each of them there."""
    scoring, popularity = recommender.scoring, recommender.catalog.popularity
    if path in ("known", "members"):
        return scoring, torch.from_numpy(audience.indices[positions])
    if path == "history":
        histories = audience.history_matrix(positions, len(recommender.items))
        return folded_in(scoring, histories, popularity, settings), torch.arange(len(positions))
    return recommender.popular, torch.zeros(len(positions), dtype=torch.int64)


def _best_of(
    scoring: Scoring,
    rows: Int64[Tensor, "n"],
    excluded: HiddenItems,
    allowed: Bool[Tensor, "n_items"] | None,
    *,
    index: ItemIndex | None,
) -> BestOf:
    """Return what ranks, for some of the users, the items that the filters allow, or those of them that a mask has."""

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        return scoring.scores(rows[block])

    def best(n: int, selected: Bool[Tensor, "n_items"] | None) -> Ranking:
        mask = selected if allowed is None else allowed if selected is None else allowed & selected
        if index is not None and isinstance(scoring, Vectors):
            values: ndarray = np.ones(len(excluded.items), dtype=np.float32)
            shape = (len(rows), scoring.n_items)
            hidden = sparse.csr_array((values, excluded.items, excluded.offsets), shape=shape)
            return rank_by_index(index, Request(scoring.users[rows], scoring.items, n, hidden, mask))
        users = torch.arange(len(rows))
        return rank_rows(score, users, n, excluded, n_items=scoring.n_items, allowed=mask)

    return best
