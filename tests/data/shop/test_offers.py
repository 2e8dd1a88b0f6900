from datetime import date

import numpy as np
import polars as pl
import pytest

from flatrec.data.shop.catalog import ATTRIBUTES, draw_catalog
from flatrec.data.shop.offers import BAND_FACTORS, CATEGORIES, KIND_PRICES, draw_offers
from flatrec.data.shop.timeline import DAY, END, START

CATALOG = draw_catalog(2000, np.random.default_rng(0))
LAUNCHES = np.linspace(START, END, 2000).astype(np.int64) // DAY * DAY


@pytest.fixture(scope="module")
def offers():
    sold = np.where(np.arange(2000) % 2, END - 10 * DAY, START + 10 * DAY)
    return draw_offers(CATALOG, LAUNCHES, sold, np.random.default_rng(1))


def test_columns_are_typed(offers):
    assert dict(offers.schema) == {
        "category": pl.String,
        "price": pl.Float64,
        "launched": pl.Date,
        "in_stock": pl.Boolean,
    }
    assert offers["launched"][0] == date(2023, 1, 1)


def test_every_kind_has_one_category_and_a_price():
    members = [kind for kinds in CATEGORIES.values() for kind in kinds]
    assert sorted(members) == sorted(ATTRIBUTES["kind"]) == sorted(KIND_PRICES)
    assert tuple(BAND_FACTORS) == ATTRIBUTES["price_band"]


def test_categories_are_those_of_the_kinds(offers):
    assert all(kind in CATEGORIES[name] for kind, name in zip(CATALOG.column("kind"), offers["category"], strict=True))


def test_prices_suit_kind_and_band_and_end_in_95_cents(offers):
    cents = np.round(offers["price"].to_numpy() * 100).astype(np.int64)
    assert (cents % 100 == 95).all()
    frame = offers.with_columns(kind=pl.Series(CATALOG.column("kind")), band=pl.Series(CATALOG.column("price_band")))
    for (kind, band), prices in frame.group_by("kind", "band"):
        assert 0.75 < prices["price"].median() / (KIND_PRICES[kind] * BAND_FACTORS[band]) < 1.25


def test_items_that_nobody_bought_lately_are_more_often_out_of_stock(offers):
    in_stock = offers["in_stock"].to_numpy()
    assert 0.95 < in_stock[1::2].mean() < 0.99
    assert 0.55 < in_stock[::2].mean() < 0.65
