import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet

from flatrec.models import SLIM
from flatrec.models.slim import _candidates
from tests.models.shops import unequal, weighted_dataset

EXACT = {"n_sweeps": 10_000, "tolerance": 1e-12}


def by_sklearn(matrix, l1_weight, l2_weight):
    """W by an elastic net per item, on all other items."""
    n_users, n_items = matrix.shape
    alpha = (l1_weight + l2_weight) / n_users
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        net = ElasticNet(
            alpha=alpha,
            l1_ratio=l1_weight / (l1_weight + l2_weight),
            positive=True,
            fit_intercept=False,
            max_iter=100_000,
            tol=1e-12,
        )
        weights[others, item] = net.fit(matrix[:, others], matrix[:, item]).coef_
    return weights


@pytest.mark.parametrize(("l1_weight", "l2_weight"), [(0.5, 2.0), (2.0, 0.5)])
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
def test_weights_are_those_of_an_elastic_net_per_item(make, l1_weight, l2_weight):
    dataset = make()
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    found = SLIM(dataset, SLIM.Config(l1_weight=l1_weight, l2_weight=l2_weight, **EXACT)).similarities.toarray()
    expected = by_sklearn(matrix, l1_weight, l2_weight)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
    assert 0 < (expected > 1e-6).sum() < expected.size / 2


def test_the_conditions_of_the_minimum_hold_by_default_up_to_the_tolerance():
    matrix = unequal().interactions.matrix("train").toarray().astype(np.float64)
    config = SLIM.Config(l1_weight=0.3, l2_weight=1.0)
    weights = SLIM(unequal(), config).similarities.toarray().astype(np.float64)
    gram = matrix.T @ matrix
    slopes = gram @ weights - gram + config.l2_weight * weights + config.l1_weight
    np.fill_diagonal(slopes, 0)
    assert np.diag(weights).max() == 0
    assert weights.min() == 0
    assert np.abs(slopes[weights > 0]).max() < 0.05
    assert slopes[weights == 0].min() > -0.05


@pytest.mark.parametrize("entries", [1, 40 * 5, 40 * 24])
def test_slim_does_not_depend_on_its_blocks(entries, monkeypatch):
    whole = SLIM(unequal(), SLIM.Config(**EXACT)).similarities.toarray()
    monkeypatch.setattr("flatrec.models.slim.BLOCK_ENTRIES", entries)
    np.testing.assert_allclose(SLIM(unequal(), SLIM.Config(**EXACT)).similarities.toarray(), whole, atol=1e-7)


def swept(matrix, config):
    """W by coordinate descent in dense algebra, one sweep after the other; and the number of sweeps."""
    gram, n_items = matrix.T @ matrix, matrix.shape[1]
    weights, n_sweeps = np.zeros((n_items, n_items)), 0
    moved = np.inf
    while n_sweeps < config.n_sweeps and moved > config.tolerance:
        before = weights.copy()
        for item in range(n_items):
            products = gram[item] - gram[item] @ weights + gram[item, item] * weights[item]
            weights[item] = np.maximum(products - config.l1_weight, 0) / (gram[item, item] + config.l2_weight)
            weights[item, item] = 0
        n_sweeps, moved = n_sweeps + 1, np.abs(weights - before).max()
    return weights, n_sweeps


@pytest.mark.parametrize(("n_sweeps", "tolerance", "done"), [(1, 1e-12, 1), (3, 1e-12, 3), (50, 0.02, 9)])
def test_sweeps_end_at_their_number_or_when_the_largest_change_is_small(n_sweeps, tolerance, done):
    config = SLIM.Config(l1_weight=0.5, l2_weight=2.0, n_sweeps=n_sweeps, tolerance=tolerance)
    dataset = weighted_dataset()
    weights, made = swept(dataset.interactions.weight_matrix("train").toarray().astype(np.float64), config)
    assert made == done
    np.testing.assert_allclose(SLIM(dataset, config).similarities.toarray(), weights, rtol=1e-6, atol=1e-7)


def test_pairs_that_can_have_no_weight_are_not_looked_at():
    matrix = unequal().interactions.matrix("train").toarray()
    by_item = sparse.csr_array(matrix.T.astype(np.float64))
    pairs = _candidates(by_item, slice(5, 9), 3.0)
    expected = np.triu(matrix.T @ matrix, 1) + np.tril(matrix.T @ matrix, -1)
    np.testing.assert_array_equal(pairs.toarray() > 0, expected[:, 5:9] > 3)
