"""Explanations: which of a user's own items contributed most to the score of a listed one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from flatrec.graphs.interaction import DEGREE_OFFSET
from flatrec.inference.answers import AnswerPath, Reason, Recommendation
from flatrec.inference.candidates import known_indices, rows_of
from flatrec.inference.catalog import Catalog
from flatrec.inference.fold_in import DEFAULT, FoldIn, FoldInItems
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors

if TYPE_CHECKING:
    from flatrec.inference.recommender import Recommender

Kind: TypeAlias = Literal["exact", "similarity"]
N_REASONS = 3  # items that a list names for each of its own


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each of a user's items contributes to each listed item.

    Args:
        items: indices of the user's items.
        values: one row per item of the user, one column per listed item.
        kind: ``exact`` if a column, and for a trained vector the user's own part, add up to the score of the listed
            item; ``similarity`` if a value is the cosine of the two items' vectors.
    """

    items: Int64[ndarray, "n_history"]
    values: Float[ndarray, "n_history n_listed"]
    kind: Kind


def explained(
    recommender: Recommender,
    listed: Sequence[Recommendation],
    *,
    user: str | None,
    path: AnswerPath,
    history: Sequence[str] = (),
    fold_in: FoldIn = DEFAULT,
) -> tuple[Recommendation, ...]:
    """Return a list whose items name the user's own items that contributed most.

    Args:
        recommender: what made the list.
        listed: the list.
        user: original id of the user; None without one.
        path: the path of the list; one that does not depend on the user's items has no reasons.
        history: the history that was given for the user.
        fold_in: how a vector was made of it.
    """
    folded, scoring = None, recommender.scoring
    if path == "known" and user is not None:
        index = recommender.users.index_of(user)
        own = recommender.history[[index]]
        scoring = scoring.of_user(index) if isinstance(scoring, UserMatrix) else scoring
    elif path == "history":
        own = rows_of([known_indices(history, recommender.items)], len(recommender.items))
        scoring = scoring.of_histories(own) if isinstance(scoring, UserMatrix) else scoring
        if isinstance(scoring, Vectors):
            folded = FoldInItems(scoring, recommender.catalog.popularity, fold_in)
    else:
        return tuple(listed)
    indices = np.array([recommender.items.index_of(one.item) for one in listed], dtype=np.int64)
    all_reasons = reasons(scoring, own, indices, recommender.catalog, folded=folded)
    return tuple(replace(one, reasons=found) for one, found in zip(listed, all_reasons, strict=True))


def contributions(
    scoring: Scoring,
    history: sparse.csr_array,
    listed: Int64[ndarray, "n_listed"],
    folded: FoldInItems | None = None,
) -> Contributions:
    """Return what each item of one user contributes to the scores of listed items i.

    - A matrix of similar items, exact: w_j sim(j, i).
    - A matrix of similar users, exact: sum over similar users v of w_j w_vj w_vi sim(u, v) / <w_u, w_v>.
    - A vector that was folded in from the history, exact: w_j v_j^T A^-1 v_i, with A as in
      :class:`flatrec.inference.fold_in.FoldIn`; for the method ``mean`` w_j is the whole factor of v_j, and A is the
      identity.
    - A vector that was trained, of a model whose users are sums over their items, exact: w_j d_u^(-1/2) <s_j, v_i>, as
      in :func:`flatrec.inference.item_contributions.item_contributions`.
    - Any other vector that was trained, that of a perceptron too: the cosine of v_j and v_i.
    - The same scores for everybody: nothing, as no item of the user plays a part.

    Args:
        scoring: how scores are made; a matrix of similar users has those of this user alone.
        history: the user's items with their weights, (1, n_items).
        listed: the items to explain.
        folded: the item side of the fold-in that made the user's vector; None for a trained user.
    """
    items = history.indices.astype(np.int64)
    if isinstance(scoring, ItemScores):
        return Contributions(items[:0], np.zeros((0, len(listed))), "exact")
    if isinstance(scoring, ItemMatrix):
        similar = scoring.similarities_between(items, listed)
        return Contributions(items, similar * history.data[:, None], "exact")
    if isinstance(scoring, UserMatrix):
        return Contributions(items, _over_users(scoring, history, listed), "exact")
    if folded is not None:
        return Contributions(items, folded.contributions(history, listed), "exact")
    if isinstance(scoring, Vectors) and scoring.contributions is not None:
        return Contributions(items, _sums(scoring.items, scoring.contributions, history, listed), "exact")
    return Contributions(items, _cosines(scoring, items, listed), "similarity")


def reasons(
    scoring: Scoring,
    history: sparse.csr_array,
    listed: Int64[ndarray, "n_listed"],
    catalog: Catalog,
    *,
    folded: FoldInItems | None = None,
) -> tuple[tuple[Reason, ...], ...]:
    """Return, for each listed item, the items of one user that contributed most, at most three, the strongest first.

    Items whose contribution is zero or below are not named. The arguments are those of :func:`contributions`.
    """
    found = contributions(scoring, history, listed, folded)
    return tuple(tuple(_strongest(found, column, catalog)) for column in range(len(listed)))


def _strongest(found: Contributions, column: int, catalog: Catalog) -> Iterator[Reason]:
    values = found.values[:, column]
    for row in np.argsort(-values, kind="stable")[:N_REASONS]:
        if values[row] > 0:
            item = int(found.items[row])
            title = None if catalog.titles is None else catalog.titles[item]
            yield Reason(catalog.ids[item], float(values[row]), found.kind, title)


def _sums(
    vectors: Float[Tensor, "n_items dim"],
    contributions: Float[Tensor, "n_items dim"],
    history: sparse.csr_array,
    listed: Int64[ndarray, "n_listed"],
) -> Float[ndarray, "n_history n_listed"]:
    weights = history.data / np.sqrt(history.data.sum(dtype=np.float64) + DEGREE_OFFSET)
    terms = contributions[torch.from_numpy(history.indices.astype(np.int64))] @ vectors[torch.from_numpy(listed)].T
    values: ndarray = weights[:, None] * terms.numpy()
    return values


def _over_users(
    scoring: UserMatrix, history: sparse.csr_array, listed: Int64[ndarray, "n_listed"]
) -> Float[ndarray, "n_history n_listed"]:
    neighbors = scoring.profiles[scoring.similarities.indices]
    shared = neighbors[:, history.indices].toarray() * history.data  # the terms of <w_u, w_v>, one row per neighbor
    factors = scoring.similarities.data / shared.sum(axis=1)
    values: ndarray = (shared * factors[:, None]).T @ neighbors[:, listed].toarray()
    return values


def _cosines(
    scoring: Vectors | ProductPerceptron, items: Int64[ndarray, "n_history"], listed: Int64[ndarray, "n_listed"]
) -> Float[ndarray, "n_history n_listed"]:
    left, right = (F.normalize(scoring.items[torch.from_numpy(indices)], dim=1) for indices in (items, listed))
    cosines: ndarray = (left @ right.T).numpy()
    return cosines
