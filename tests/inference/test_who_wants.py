"""Users for an item: by brute force, for known and new items, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.inference import who_wants as module
from flatrec.inference.run import Run
from flatrec.models import BASELINES
from tests.inference.cold_start.conftest import data, encoded, trained


def by_brute_force(recommender, item, k, filter_seen):
    index = recommender.items.index_of(item)
    scores = recommender.scoring.scores(torch.arange(len(recommender.users)))[:, index].tolist()
    seen = recommender.seen.toarray()[:, index] != 0
    untrained = recommender.history.toarray().sum(axis=1) == 0
    users = [u for u in range(len(scores)) if not untrained[u] and not (filter_seen and seen[u])]
    return [recommender.users[user] for user in sorted(users, key=lambda user: -scores[user])[:k]]


@pytest.mark.parametrize("name", ["lightgcn", "item-knn", "ease", "user-knn"])
@pytest.mark.parametrize("filter_seen", [True, False])
def test_the_users_are_those_with_the_highest_scores(name, filter_seen, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_USERS", 7)
    run = trained(name) if name == "lightgcn" else Run(data(), BASELINES[name](data()))
    for item in ("item 0", "item 13", "item 23"):
        for k in (1, 6, 100):
            found = run.recommender.who_wants(item, k, filter_seen=filter_seen)
            assert [one.user for one in found] == by_brute_force(run.recommender, item, k, filter_seen)


def test_scores_are_those_of_the_recommender():
    recommender = trained("bpr").recommender
    found = recommender.who_wants("item 3", 5)
    expected = recommender.score([one.user for one in found], "item 3")[:, 0]
    np.testing.assert_allclose([one.score for one in found], expected, rtol=1e-5)


def test_a_new_item_is_wanted_by_the_users_of_its_block():
    recommender = trained("lightgcn").recommender.with_items(encoded((2,)))
    assert {one.user for one in recommender.who_wants("new 0", 10)} == {f"user {index}" for index in range(20, 30)}


def test_of_equal_scores_the_first_users_are_listed():
    run = Run(data(), BASELINES["item-knn"](data()))
    wanted = run.recommender.who_wants("item 0", 30)
    assert [one.score for one in wanted] == [0.0] * 20  # nobody of the other blocks has anything that is similar
    assert [one.user for one in wanted] == [f"user {index}" for index in range(10, 30)]


def test_popularity_an_unknown_item_and_no_user_are_refused():
    with pytest.raises(ValueError, match="scores an item the same for every user"):
        Run(data(), BASELINES["popularity"](data())).recommender.who_wants("item 0")
    with pytest.raises(KeyError, match="item 'lamp' is not in"):
        trained("bpr").recommender.who_wants("lamp")
    with pytest.raises(ValueError, match="k must be at least 1, but is 0"):
        trained("bpr").recommender.who_wants("item 0", 0)
