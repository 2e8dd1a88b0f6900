import numpy as np
import pytest

from flatrec import testing
from flatrec.models import EASE
from tests.models.shops import unequal, weighted_dataset


def closed_form(matrix, reg_weight):
    """B column by column: each item is a ridge regression on the others."""
    n_items = matrix.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        left = matrix[:, others]
        system = left.T @ left + reg_weight * np.eye(n_items - 1)
        weights[others, item] = np.linalg.solve(system, left.T @ matrix[:, item])
    return weights


@pytest.mark.parametrize("reg_weight", [0.5, 20.0])
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
def test_ease_is_a_ridge_regression_of_each_item_on_the_others(make, reg_weight):
    dataset = make()
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    found = EASE(dataset, EASE.Config(reg_weight=reg_weight)).similarities
    np.testing.assert_allclose(found, closed_form(matrix, reg_weight), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("rows", [1, 5, 24])
def test_ease_does_not_depend_on_its_blocks(rows, monkeypatch):
    whole = EASE(unequal()).similarities
    monkeypatch.setattr("flatrec.models.ease.BLOCK_ROWS", rows)
    np.testing.assert_array_equal(EASE(unequal()).similarities, whole)


def test_ease_refuses_a_matrix_beyond_the_limit_in_one_line():
    with pytest.raises(
        ValueError, match=r"EASE needs .* for a matrix of 24 by 24 items, .* model.max_memory, or choose"
    ):
        EASE(testing.block_dataset(), EASE.Config(max_memory=1e-6))


def test_the_limit_is_twelve_bytes_for_every_two_items():
    needed = 12 * 24 * 24 / 2**30
    dataset = testing.block_dataset()
    EASE(dataset, EASE.Config(max_memory=needed))
    with pytest.raises(ValueError, match="EASE needs"):
        EASE(dataset, EASE.Config(max_memory=needed * (1 - 1e-9)))


def test_ease_refuses_what_cannot_be_decomposed(monkeypatch):
    monkeypatch.setattr("scipy.linalg.lapack.dpotrf", lambda gram, **_: (gram, 3))
    with pytest.raises(ValueError, match=r"cannot be inverted with reg_weight 200.*raise model.reg_weight"):
        EASE(testing.block_dataset())


def test_ease_refuses_a_penalty_that_vanishes_beside_the_weights():
    large = weighted_dataset(scale=1e9)
    with pytest.raises(ValueError, match=r"cannot be inverted with reg_weight 0.001.*raise model.reg_weight"):
        EASE(large, EASE.Config(reg_weight=1e-3))
