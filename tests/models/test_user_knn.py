import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.inference.explain import contributions
from flatrec.inference.fold_in import folded_in
from flatrec.inference.run import Run
from flatrec.models import UserKNN
from tests.models.shops import dataset_of, unequal, weighted_dataset


def expected_scores(matrix, n_neighbors, shrinkage):
    """The scores user by user, by loops."""
    scores = np.zeros(matrix.shape)
    for user, own in enumerate(matrix):
        similar = {
            other: own @ row / (np.linalg.norm(own) * np.linalg.norm(row) + shrinkage)
            for other, row in enumerate(matrix)
            if other != user and own @ row > 0
        }
        for other in sorted(similar, key=lambda other: -similar[other])[:n_neighbors]:
            scores[user] += similar[other] * matrix[other]
    return scores


@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
def test_scores_sum_what_similar_users_bought(make, shrinkage):
    dataset = make()
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    scoring = UserKNN(dataset, UserKNN.Config(n_neighbors=1000, shrinkage=shrinkage)).scoring()
    np.testing.assert_allclose(
        scoring.scores(torch.arange(40)), expected_scores(matrix, 1000, shrinkage), rtol=2e-5, atol=1e-6
    )


def test_the_nearest_users_alone_count():
    dataset = weighted_dataset()  # no two users are equally similar to a third one
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    scoring = UserKNN(dataset, UserKNN.Config(n_neighbors=3, shrinkage=0.0)).scoring()
    np.testing.assert_allclose(scoring.scores(torch.arange(40)), expected_scores(matrix, 3, 0.0), rtol=2e-5, atol=1e-6)


def test_user_knn_is_as_worked_by_hand():
    # u0: a b; u1: a b c; u2: a; u3: c. From u0: u1 2/sqrt(6), u2 1/sqrt(2), u3 0.
    dataset = dataset_of(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]))
    scoring = UserKNN(dataset, UserKNN.Config(shrinkage=0.0)).scoring()
    near, far = 2 / 6**0.5, 1 / 2**0.5
    torch.testing.assert_close(scoring.scores(torch.tensor([0]))[0], torch.tensor([near + far, near, near, 0]))
    torch.testing.assert_close(scoring.item_similarities(0), torch.tensor([1, 2 / 6**0.5, 1 / 6**0.5, 0]))
    assert scoring.item_similarities(3).tolist() == [0, 0, 0, 1]


def test_a_history_gets_the_users_who_are_similar_to_it():
    dataset = weighted_dataset()
    scoring = UserKNN(dataset, UserKNN.Config(n_neighbors=4)).scoring()
    matrix = scoring.profiles.toarray().astype(np.float64)
    own = np.zeros(24)
    own[[2, 5, 9]] = 1.5
    folded = folded_in(scoring, sparse.csr_array(own[None].astype(np.float32)), np.ones(24))
    expected = expected_scores(np.vstack([matrix, own]), 4, 10.0)[-1]
    np.testing.assert_allclose(folded.scores(torch.tensor([0]))[0], expected, rtol=2e-5, atol=1e-6)
    assert folded.n_users == 1


def test_contributions_of_a_user_s_items_add_up_to_the_scores():
    scoring = UserKNN(weighted_dataset(), UserKNN.Config(n_neighbors=5)).scoring()
    listed = np.array([0, 7, 23])
    for user in (0, 17, 39):
        history = scoring.profiles[[user]]
        found = contributions(scoring.of_user(user), history, listed)
        assert (found.kind, found.values.shape) == ("exact", (history.nnz, 3))
        expected = scoring.scores(torch.tensor([user]))[0, torch.from_numpy(listed)]
        np.testing.assert_allclose(found.values.sum(axis=0), expected, rtol=1e-5, atol=1e-6)


def test_reasons_are_given_for_known_users_and_for_histories():
    recommender = Run(weighted_dataset(), UserKNN(weighted_dataset())).recommender
    known = recommender.recommend("user 3", 3, explain=True)[0]
    history = recommender.recommend("nobody yet", 3, history=["item 2", "item 5"], explain=True)[0]
    assert all(one.reasons and one.reasons[0].kind == "exact" for one in (*known, *history))


def test_a_forgotten_user_is_nobody_s_neighbor():
    dataset = weighted_dataset()
    everybody = UserKNN(dataset, UserKNN.Config(n_neighbors=1000)).scoring().similarities.toarray()
    after = Run(dataset, UserKNN(dataset, UserKNN.Config(n_neighbors=1000))).recommender.without_users(["user 0"])
    kept = after.scoring
    np.testing.assert_array_equal(kept.similarities.toarray(), everybody[1:, 1:])
    assert kept.profiles.shape == (39, 24)
