"""What the shop asks for its items, and which of them it has: price, category, launch and stock."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float64, Int
from numpy import ndarray

from flatrec.data.shop.catalog import ATTRIBUTES, Catalog
from flatrec.data.shop.timeline import DAY, END

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "fashion": ("shirt", "bag", "shoe", "hat", "umbrella"),
    "home": ("lamp", "chair", "clock", "cushion"),
    "kitchen": ("mug", "vase", "teapot"),
}
KIND_PRICES: Mapping[str, float] = {  # median price of a standard item
    "mug": 12,
    "lamp": 60,
    "chair": 120,
    "shirt": 30,
    "bag": 50,
    "clock": 40,
    "vase": 25,
    "shoe": 80,
    "cushion": 20,
    "hat": 25,
    "teapot": 35,
    "umbrella": 22,
}
BAND_FACTORS: Mapping[str, float] = {"budget": 0.6, "standard": 1.0, "premium": 2.0}
PRICE_SPREAD = 0.2  # standard deviation of the logarithm of the price within a kind and price band
QUIET = 120  # days without a purchase after which an item is more likely out of stock
IN_STOCK, QUIET_IN_STOCK = 0.97, 0.6  # probabilities


def draw_offers(
    catalog: Catalog,
    launches: Int[ndarray, "n_items"],
    last_sales: Int[ndarray, "n_items"],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Draw the columns ``category``, ``price`` (float), ``launched`` (date) and ``in_stock`` (bool) of all items.

    Args:
        catalog: the attributes of the items.
        launches: the midnight of each launch, in Unix seconds.
        last_sales: when each item was last bought, in Unix seconds; before that is before the launch if never.
        rng: generator of the prices and the stock.
    """
    kinds = catalog.column("kind")
    categories = {kind: category for category, members in CATEGORIES.items() for kind in members}
    quiet = last_sales < END - QUIET * DAY
    in_stock = rng.random(len(catalog)) < np.where(quiet, QUIET_IN_STOCK, IN_STOCK)
    return pl.DataFrame(
        {
            "category": [categories[kind] for kind in kinds],
            "price": _prices(catalog, rng),
            "launched": pl.from_epoch(pl.Series(launches // DAY), time_unit="d"),
            "in_stock": in_stock,
        }
    )


def _prices(catalog: Catalog, rng: np.random.Generator) -> Float64[ndarray, "n_items"]:
    """Draw prices that suit the kind and the price band, in whole units less five cents."""
    medians = np.array([KIND_PRICES[kind] for kind in ATTRIBUTES["kind"]])[catalog.codes["kind"]]
    factors = np.array([BAND_FACTORS[band] for band in ATTRIBUTES["price_band"]])[catalog.codes["price_band"]]
    drawn = medians * factors * rng.lognormal(sigma=PRICE_SPREAD, size=len(catalog))
    prices: ndarray = np.round(np.maximum(np.round(drawn), 1) - 0.05, 2)
    return prices
