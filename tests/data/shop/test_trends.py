import numpy as np
import pytest

from flatrec.data.shop.catalog import draw_catalog
from flatrec.data.shop.trends import BINS, Fashion, draw_launches, draw_popularity


@pytest.fixture
def catalog():
    return draw_catalog(400, np.random.default_rng(0))


def test_most_items_are_established_and_the_others_are_launched_evenly():
    launches = draw_launches(10_000, Fashion(established=0.6, latest_launch=0.9), np.random.default_rng(0))
    assert 0.58 < (launches < 0).mean() < 0.62
    assert launches.min() >= -1
    new = launches[launches >= 0]
    assert new.max() < 0.9
    assert 0.43 < new.mean() < 0.47


def test_an_item_is_popular_from_the_bin_of_its_launch_on(catalog):
    launches = draw_launches(400, Fashion(), np.random.default_rng(1))
    popularity = draw_popularity(catalog, launches, Fashion(), np.random.default_rng(2))
    ends = (np.arange(BINS) + 1) / BINS
    assert ((popularity > 0) == (ends >= launches[:, None])).mean() == 1


def test_the_novelty_fades_at_the_stated_rate(catalog):
    fashion = Fashion(swing=0.0, novelty=8.0, novelty_life=0.1, novelty_spread=0.0)
    popularity = draw_popularity(catalog, np.zeros(400), fashion, np.random.default_rng(0))
    age = (np.arange(BINS) + 0.5) / BINS
    np.testing.assert_allclose(popularity, np.tile(1 + 7 * np.exp(-age / 0.1), (400, 1)), rtol=1e-5)


def test_items_of_one_kind_rise_and_fall_together(catalog):
    fashion = Fashion(attributes=("kind",), novelty=1.0, swing=0.7)
    logarithm = np.log(draw_popularity(catalog, np.full(400, -1.0), fashion, np.random.default_rng(0)))
    first = {kind: np.flatnonzero(catalog.codes["kind"] == kind)[0] for kind in range(12)}
    np.testing.assert_array_equal(logarithm, logarithm[[first[kind] for kind in catalog.codes["kind"]]])
    swings = np.sqrt((logarithm[list(first.values())] ** 2).mean())
    assert 0.5 < swings < 0.9
    assert np.abs(np.diff(logarithm, axis=1)).max() < 0.2  # slowly
