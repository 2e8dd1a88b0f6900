"""Vectors from histories equal the formulas, worked by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.inference.fold_in import FoldIn, FoldInItems, folded_in
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors


def csr(rows):
    return sparse.csr_array(np.array(rows, dtype=np.float64))


def side(items, popularity, settings=None):
    scoring = Vectors(torch.zeros(0, items.shape[1], dtype=items.dtype), items)
    return FoldInItems(scoring, popularity, settings or FoldIn())


def random_problem(seed=0, n_users=7, n_items=12, dim=3):
    generator = np.random.default_rng(seed)
    history = generator.random((n_users, n_items)) * (generator.random((n_users, n_items)) < 0.3)
    history[2] = 0
    return generator.normal(size=(n_items, dim)), history, generator.random(n_items) * 9


def test_least_squares_with_one_item_by_hand():
    # m = (4 + 1) / 2; the only equation is (4 + 0.1 * 4 + 0.5 * 2.5) u = 2
    items = side(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), np.ones(2), FoldIn(unobserved_weight=0.1, reg_weight=0.5))
    user = items.user_vectors(csr([[1, 0]]))
    torch.testing.assert_close(user, torch.tensor([[2 / 5.65, 0.0]]))


def test_the_mean_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    popularity = np.array([4.0, 16.0, 0.0])  # the norms are 1/2, 1/4, and 1/2 as for the least popular item
    items = side(vectors, popularity, FoldIn(method="mean"))
    users = items.user_vectors(csr([[1, 1, 0], [3, 0, 1], [0, 0, 0]]))
    torch.testing.assert_close(users, torch.tensor([[2 / 3, 1 / 3], [2.0, 1.25], [0.0, 0.0]]))


@pytest.mark.parametrize("unobserved", [0, 0.3])
def test_least_squares_has_the_least_loss(unobserved):
    vectors, history, popularity = random_problem()
    settings = FoldIn(unobserved_weight=unobserved, reg_weight=0.2)
    users = side(torch.from_numpy(vectors), popularity, settings).user_vectors(csr(history))
    mean_square = (vectors**2).sum(axis=1).mean()
    users.requires_grad_()
    scores = users @ torch.from_numpy(vectors).T
    fit = (torch.from_numpy(history) * (1 - scores).square()).sum()
    loss = fit + unobserved * scores.square().sum() + 0.2 * mean_square * users.square().sum()
    (gradient,) = torch.autograd.grad(loss, users)  # a quadratic loss: zero at the solution and nowhere else
    assert gradient.abs().max() < 1e-10
    assert users[2].abs().max() == 0
    assert users[0].abs().max() > 0.01


@pytest.mark.parametrize("settings", [FoldIn(), FoldIn(method="mean")])
def test_the_order_of_items_does_not_depend_on_the_scale_of_the_vectors(settings):
    vectors, history, popularity = random_problem(1)
    scores = []
    for scale in (1, 1000):
        items = torch.from_numpy(vectors * scale)
        scores.append(side(items, popularity, settings).user_vectors(csr(history)) @ items.T)
    torch.testing.assert_close(scores[1], scores[0] * (1 if settings.method == "least-squares" else 1000**2))


def test_blocks_change_nothing(monkeypatch):
    vectors, history, popularity = random_problem(2)
    users = side(torch.from_numpy(vectors), popularity).user_vectors(csr(history))
    monkeypatch.setattr("flatrec.inference.fold_in.BLOCK_NUMBERS", 20)  # two users at once
    torch.testing.assert_close(side(torch.from_numpy(vectors), popularity).user_vectors(csr(history)), users)


def test_a_strong_ridge_gives_the_direction_of_the_weighted_sum():
    vectors, history, popularity = random_problem(3)
    items = side(torch.from_numpy(vectors), popularity, FoldIn(reg_weight=1e9))
    users = torch.nn.functional.normalize(items.user_vectors(csr(history)))
    torch.testing.assert_close(users, torch.nn.functional.normalize(torch.from_numpy(history @ vectors)))


def test_vectors_of_zeros_and_no_users_are_no_trouble():
    items = side(torch.zeros(3, 2), np.zeros(3))
    assert items.user_vectors(csr([[1, 0, 1]])).tolist() == [[0, 0]]
    assert side(torch.zeros(3, 2), np.zeros(3), FoldIn(method="mean")).user_vectors(csr([[1, 0, 1]])).sum() == 0
    assert items.user_vectors(sparse.csr_array((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_bad_weights_are_refused(weight):
    with pytest.raises(ValueError, match="must be finite and above 0"):
        side(torch.eye(2), np.ones(2)).user_vectors(csr([[weight, 0]]))


def test_histories_of_other_items_are_refused():
    with pytest.raises(ValueError, match="histories of 3 items for vectors of 2"):
        side(torch.eye(2), np.ones(2)).user_vectors(csr([[1, 0, 1]]))


def test_every_kind_of_scoring_is_folded_in():
    vectors, history, popularity = random_problem(4)
    items, rows = torch.from_numpy(vectors), torch.arange(len(history))
    folded = folded_in(Vectors(items[:2], items), csr(history), popularity)
    torch.testing.assert_close(folded.scores(rows), side(items, popularity).user_vectors(csr(history)) @ items.T)
    similarities = csr(vectors @ vectors.T)
    matrix = folded_in(ItemMatrix(csr(history)[:2], similarities), csr(history), popularity)
    np.testing.assert_allclose(matrix.scores(rows), history @ vectors @ vectors.T)
    values = folded_in(ItemScores(torch.arange(12.0), 2), csr(history), popularity)
    assert values.scores(rows[:1]).tolist() == [list(range(12))]
    assert values.n_users == len(history)
