"""A recommender without some or all of its users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.joining import new_item_scale
from flatrec.inference.recommender import Recommender
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors


def without_users(recommender: Recommender, users: Sequence[str]) -> Recommender:
    """Return a recommender without users: their ids, vectors, histories and seen items.

    They are answered by the most popular items from now on. Numbers of all users together, such as the popularity of
    items, stay as they are, and so does what the vectors of items learned from everybody. Where scores are made of
    similar users, nobody has them as neighbors any more.

    Args:
        recommender: the recommender.
        users: original ids.

    Raises:
        KeyError: an id is not known.
        ValueError: nobody would be left.
    """
    gone = {recommender.users.index_of(user) for user in users}
    kept: Int64[ndarray, "n_kept"] = np.array([row for row in range(len(recommender.users)) if row not in gone])
    if not len(kept):
        raise ValueError("the recommender would have no user left; remove its folder instead")
    return replace(
        recommender,
        scoring=_scoring_of(recommender.scoring, kept),
        users=Vocabulary("user", [recommender.users[row] for row in kept.tolist()]),
        history=sparse.csr_array(recommender.history[kept]),
        seen=sparse.csr_array(recommender.seen[kept]),
        histories={user: items for user, items in recommender.histories.items() if user not in users},
        facts=replace(recommender.facts, forgotten=_rows_of_training(recommender, gone)),
        groups=tuple(np.flatnonzero(np.isin(kept, recommender.groups)).tolist()),
        by_members=tuple(np.flatnonzero(np.isin(kept, recommender.by_members)).tolist()),
    )


def without_all_users(recommender: Recommender) -> Recommender:
    """Return a recommender that holds nobody: no id, vector, history, seen item or group.

    Histories that are given with a request are answered as before, and so are similar items and new ones. What the
    items learned from everybody stays: their vectors or similarities, their popularity, and the scale of new items,
    which is found with the users.

    Raises:
        ValueError: its scores are made of the histories of similar users, so that nothing would be left.
    """
    if isinstance(recommender.scoring, UserMatrix):
        raise ValueError(
            f"{recommender.facts.model} scores by the histories of its users, so that nothing is left without them; "
            "take another model, or include the users"
        )
    if not len(recommender.users):
        return recommender
    kept: Int64[ndarray, "n_kept"] = np.zeros(0, dtype=np.int64)
    scoring = _scoring_of(recommender.scoring, kept)
    if isinstance(scoring, Vectors):
        scoring = replace(scoring, contributions=None)  # they explain the scores of users who were trained on
    return replace(
        recommender,
        scoring=scoring,
        users=Vocabulary("user", []),
        history=sparse.csr_array(recommender.history[kept]),
        seen=sparse.csr_array(recommender.seen[kept]),
        histories={},
        facts=replace(
            recommender.facts,
            forgotten=(),
            left_out_users=len(recommender.users),
            new_item_scale=new_item_scale(recommender),
        ),
        groups=(),
        by_members=(),
    )


def _scoring_of(scoring: Scoring, kept: Int64[ndarray, "n_kept"]) -> Scoring:
    if isinstance(scoring, Vectors):
        return Vectors(scoring.users[torch.from_numpy(kept)], scoring.items, scoring.contributions)
    if isinstance(scoring, ItemMatrix):
        return replace(scoring, profiles=sparse.csr_array(scoring.profiles[kept]))
    if isinstance(scoring, UserMatrix):
        similarities = sparse.csr_array(scoring.similarities[kept][:, kept])
        return replace(scoring, profiles=sparse.csr_array(scoring.profiles[kept]), similarities=similarities)
    if isinstance(scoring, ItemScores):
        return ItemScores(scoring.values, len(kept))
    if isinstance(scoring, ProductPerceptron):
        return scoring.of_users(torch.from_numpy(kept))
    assert_never(scoring)


def _rows_of_training(recommender: Recommender, gone: set[int]) -> tuple[int, ...]:
    """Return the rows in the tables of the run of all users who were ever forgotten, in order."""
    before = frozenset(recommender.facts.forgotten)
    total = len(recommender.users) + len(before)
    left = [row for row in range(total) if row not in before]
    return tuple(sorted([*before, *(left[row] for row in gone)]))
