"""A recommender as the scorer of a data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import flatrec
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.data_scorer import training_scorer
from flatrec.testing import block_dataset
from flatrec.testing.datasets import permuted


def test_scores_are_those_of_the_same_users_and_items_whatever_their_indices():
    data = block_dataset(blocks=2, users=4, items=5)
    run = flatrec.fit(data, "item-knn")
    users, items = np.arange(data.n_users)[::-1].copy(), np.roll(np.arange(data.n_items), 3)
    other = permuted(data, users, items)
    scores = training_scorer(run.recommender, other)(torch.arange(other.n_users))
    known = run.scoring().scores(torch.arange(data.n_users))
    for user, name in enumerate(other.users):
        expected = [known[data.users.index_of(name), data.items.index_of(item)].item() for item in other.items]
        assert scores[user].tolist() == pytest.approx(expected)


def test_unknown_users_and_items_have_no_score():
    data = block_dataset(blocks=2, users=4, items=5)
    run = flatrec.fit(data, "item-knn")
    names = Vocabulary("user", ["new", *list(data.users)[1:]]), Vocabulary("item", [*list(data.items)[:-1], "other"])
    scores = training_scorer(run.recommender, replace(data, users=names[0], items=names[1]))(torch.arange(2))
    assert scores[0].isneginf().all()
    assert scores[1].isneginf().tolist() == [False] * (data.n_items - 1) + [True]


def test_a_recommender_that_knows_what_is_held_out_is_refused():
    data = block_dataset(blocks=2, users=4, items=5)
    run = flatrec.fit(data, "item-knn")
    splits = data.interactions.splits.copy()
    splits[np.flatnonzero(splits == 0)[:2]] = 2
    other = data.with_interactions(replace(data.interactions, splits=splits))
    with pytest.raises(ValueError, match=r"trained on 2 of the validation and test interactions.*the same split"):
        training_scorer(run.recommender, other)
