import numpy as np
import pytest

from flatrec.data.shop import purchases
from flatrec.data.shop.catalogue import draw_catalogue
from flatrec.data.shop.purchases import Market, draw_purchases


@pytest.fixture
def catalogue():
    return draw_catalogue(60, np.random.default_rng(0))


def drawn(catalogue, seed=0, n_users=50, n_pairs=450, **market):
    return draw_purchases(catalogue, n_users, n_pairs, market=Market(**market), rng=np.random.default_rng(seed))


def test_no_user_buys_an_item_twice(catalogue):
    users, items = drawn(catalogue, n_pairs=50 * 30)
    assert len({*zip(users.tolist(), items.tolist(), strict=True)}) == 50 * 30


def test_nobody_buys_more_than_half_of_the_items(catalogue):
    users, _ = drawn(catalogue, n_pairs=50 * 29, spread=3.0)
    assert np.bincount(users).max() == 30


def test_popular_items_sell_more_when_the_exponent_is_larger(catalogue):
    top = [np.sort(np.bincount(drawn(catalogue, zipf=zipf)[1], minlength=60))[-6:].sum() for zipf in (0.0, 2.0)]
    assert top[1] > 1.5 * top[0]


def test_purchases_do_not_depend_on_the_size_of_a_chunk(catalogue, monkeypatch):
    whole = drawn(catalogue)
    monkeypatch.setattr(purchases, "CHUNK", 7 * 60)
    chunked = drawn(catalogue)
    assert all(np.array_equal(one, other) for one, other in zip(whole, chunked, strict=True))
