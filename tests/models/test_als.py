import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.models import ALS
from flatrec.models.als import _blocks_of_similar_length
from flatrec.ops.singular_vectors import right_singular_vectors
from tests.models.shops import unequal, weighted_dataset

SETTINGS = {"embedding_dim": 5, "alpha": 3.0, "reg_weight": 0.7}


def start(dataset):
    matrix = dataset.interactions.weight_matrix("train").astype(np.float64)
    values, vectors = right_singular_vectors(matrix, 5)
    return matrix.toarray(), (vectors * np.sqrt(values)[:, None]).T


def half_step(weights, fixed):
    """Every row by its own weighted least squares over all columns."""
    solved = np.zeros((len(weights), fixed.shape[1]))
    for row, of_row in enumerate(weights):
        confidences = 1 + 3.0 * of_row
        system = fixed.T @ np.diag(confidences) @ fixed + 0.7 * np.eye(fixed.shape[1])
        solved[row] = np.linalg.solve(system, fixed.T @ (confidences * (of_row > 0)))
    return solved


def loss(weights, users, items):
    errors = (1 + 3.0 * weights) * ((weights > 0) - users @ items.T) ** 2
    return errors.sum() + 0.7 * (np.square(users).sum() + np.square(items).sum())


@pytest.mark.parametrize("numbers", [1, 200, 4_000_000])
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
def test_vectors_are_those_of_weighted_least_squares_in_turn(make, numbers, monkeypatch):
    monkeypatch.setattr("flatrec.models.als.BLOCK_NUMBERS", numbers)
    weights, items = start(make())
    for _ in range(3):
        items = half_step(weights.T, half_step(weights, items))
    found = ALS(make(), ALS.Config(**SETTINGS, n_iterations=3)).scoring()
    np.testing.assert_allclose(found.items, items, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.users, half_step(weights, items), rtol=1e-5, atol=1e-6)


def test_every_iteration_lowers_the_loss():
    weights, _ = start(weighted_dataset())
    losses = []
    for n_iterations in (1, 2, 4, 8, 16):
        found = ALS(weighted_dataset(), ALS.Config(**SETTINGS, n_iterations=n_iterations)).scoring()
        losses.append(loss(weights, found.users.double().numpy(), found.items.double().numpy()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_vectors_are_those_of_the_package_implicit():
    implicit = pytest.importorskip("implicit.cpu.als", reason="the package implicit is not installed")
    dataset = weighted_dataset()
    weights, items = start(dataset)
    other = implicit.AlternatingLeastSquares(
        factors=5, regularization=0.7, alpha=1.0, iterations=4, use_cg=False, dtype=np.float64, num_threads=1
    )
    other.user_factors, other.item_factors = np.zeros((40, 5)), items.copy()
    confidences = sparse.csr_matrix(dataset.interactions.weight_matrix("train").astype(np.float64))
    confidences.data = 1 + 3.0 * confidences.data
    other.fit(confidences, show_progress=False)
    found = ALS(dataset, ALS.Config(**SETTINGS, n_iterations=4)).scoring()
    np.testing.assert_allclose(found.items, other.item_factors, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.users, other.recalculate_user(np.arange(40), confidences), rtol=1e-5, atol=1e-6)


def test_users_and_items_without_interactions_have_no_vector():
    found = ALS(unequal(), ALS.Config(**SETTINGS)).scoring()
    assert found.users[-1].abs().max() == 0
    assert found.items[-1].abs().max() == 0
    assert torch.equal(found.users, ALS(unequal(), ALS.Config(**SETTINGS)).scoring().users)


@pytest.mark.parametrize("numbers", [1, 200, 4_000_000])
def test_blocks_hold_every_row_with_entries_once_and_no_more_numbers_than_allowed(numbers, monkeypatch):
    monkeypatch.setattr("flatrec.models.als.BLOCK_NUMBERS", numbers)
    lengths = np.random.default_rng(0).integers(0, 20, 60)
    blocks = list(_blocks_of_similar_length(lengths, 5))
    assert sorted(np.concatenate(blocks).tolist()) == np.flatnonzero(lengths).tolist()
    assert all(len(rows) == 1 or len(rows) * 5 * max(5, lengths[rows].max()) <= numbers for rows in blocks)
