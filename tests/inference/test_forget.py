"""Recommenders without some of their users."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.inference.trained_ids import read_trained_ids
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors
from tests.inference.shops import BEFORE, ITEMS, USERS, recommender

MATRIX = ItemMatrix(BEFORE.interactions.weight_matrix("train"), sparse.csr_array(np.eye(4, dtype=np.float32)))
SCORINGS = {"vectors": None, "matrix": MATRIX, "scores": ItemScores(torch.arange(4.0), 3)}


@pytest.mark.parametrize("kind", SCORINGS)
def test_the_others_keep_their_answers_and_the_forgotten_get_popular_items(kind):
    before = recommender(scoring=SCORINGS[kind])
    after = before.without_users(["bob"])
    assert list(after.users) == ["ann", "cat"]
    for user in ("ann", "cat"):
        assert after.recommend(user, 4)[0] == before.recommend(user, 4)[0]
    assert after.recommend("bob", 4)[0].path == "popular"
    assert after.scoring.n_users == 2
    assert after.similar("cup", 3)[0] == before.similar("cup", 3)[0]


def test_vectors_histories_and_seen_items_are_gone_and_sums_over_everybody_stay():
    after = recommender().without_users(["ann"])
    assert torch.equal(after.scoring.users, USERS[1:])
    assert after.seen.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    assert after.history.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert after.catalog.popularity.tolist() == [1, 1, 1, 0]


def test_the_rows_of_a_run_are_still_known_by_id(tmp_path):
    after = recommender().without_users(["bob"]).without_users(["ann"])
    assert after.facts.forgotten == (0, 1)
    save_recommender(after, tmp_path / "saved")
    ids = read_trained_ids(tmp_path / "saved")
    assert (dict(ids.users.rows), ids.users.total) == ({"cat": 2}, 3)
    assert dict(ids.items.rows) == {"cup": 0, "jug": 1, "mug": 2, "pan": 3}
    assert tuple(load_recommender(tmp_path / "saved").facts.forgotten) == (0, 1)


def test_users_who_are_not_known_and_everybody_are_refused():
    with pytest.raises(KeyError, match="user 'eve' is not in the data set of 3 users"):
        recommender().without_users(["eve"])
    with pytest.raises(ValueError, match="^the recommender would have no user left; remove its folder instead$"):
        recommender().without_users(["ann", "bob", "cat"])


def test_histories_of_newer_data_are_forgotten_too():
    from tests.inference.shops import AFTER

    after = recommender().with_interactions(AFTER).without_users(["cat"])
    assert "cat" not in after.histories
    assert "dan" in after.histories


def test_what_explains_scores_stays():
    contributions = torch.ones(4, 2)
    after = recommender(scoring=Vectors(USERS, ITEMS, contributions)).without_users(["bob"])
    assert after.scoring.contributions is contributions
    assert torch.equal(after.scoring.users, USERS[[0, 2]])
