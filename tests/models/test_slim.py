import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from flatrec.models import SLIM
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
