import numpy as np
import pytest

from flatrec.data.shop import purchases
from flatrec.data.shop.catalog import draw_catalog
from flatrec.data.shop.purchases import Market, draw_purchases


@pytest.fixture
def catalog():
    return draw_catalog(60, np.random.default_rng(0))


def drawn(catalog, seed=0, n_users=50, n_interactions=450, **market):
    return draw_purchases(catalog, n_users, n_interactions, market=Market(**market), rng=np.random.default_rng(seed))


def test_no_user_buys_an_item_twice(catalog):
    users, items = drawn(catalog, n_interactions=50 * 30)
    assert len({*zip(users.tolist(), items.tolist(), strict=True)}) == 50 * 30


def test_nobody_buys_more_than_half_of_the_items(catalog):
    users, _ = drawn(catalog, n_interactions=50 * 29, spread=3.0)
    assert np.bincount(users).max() == 30


def test_popular_items_sell_more_when_the_exponent_is_larger(catalog):
    top = [np.sort(np.bincount(drawn(catalog, zipf=zipf)[1], minlength=60))[-6:].sum() for zipf in (0.0, 2.0)]
    assert top[1] > 1.5 * top[0]


def test_purchases_do_not_depend_on_the_size_of_a_chunk(catalog, monkeypatch):
    whole = drawn(catalog)
    monkeypatch.setattr(purchases, "CHUNK", 7 * 60)
    chunked = drawn(catalog)
    assert all(np.array_equal(one, other) for one, other in zip(whole, chunked, strict=True))
