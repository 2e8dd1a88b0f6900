"""The log of the shop: views, carts, purchases and returns around the dated purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float64, Int
from numpy import ndarray

from flatrec.data.shop.browsing import earlier_views, views_of_others
from flatrec.data.shop.timeline import DAY, END, START

EVENTS = ("view", "cart", "purchase", "return")
COLUMNS = ("user", "item", "timestamp", "event", "quantity", "price")
LOOK, LONGEST_LOOK = 600, 3000  # mean and most seconds from the view to its purchase; an hour before is always free
WEEK = 7 * DAY


@dataclass(frozen=True, kw_only=True)
class Shopping:
    """What happens around the purchases: probabilities, and means per purchase."""

    repeated: float = 0.25  # probability that the user also buys the item at a random later visit
    repeat_pause: int = WEEK  # seconds; a later visit before that is not used
    returned: float = 0.07  # probability that a purchase is returned
    return_days: tuple[float, float] = (2, 30)  # least and most days until then
    cart: float = 0.8  # probability that the item was in the cart before
    earlier: float = 1.0  # mean number of views on days before
    browsed: float = 2.5  # mean number of views of other items
    abandoned: float = 0.06  # probability that an item which is only browsed is put in the cart
    another: float = 0.15  # probability of one more piece, of yet another one, and so on
    promoted: float = 0.08  # probability that an item is on sale in a week
    discount: float = 0.2  # fraction of the price that is taken off in a sale


def draw_events(purchases: pl.DataFrame, catalog: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Draw the log whose first purchases of each user and item are the given purchases.

    Every purchase is preceded by a view within the hour, and mostly by a cart. Some items are bought again at a later
    visit of the user, some purchases are returned. Users also view other items, which others have just bought.

    Args:
        purchases: the columns ``user``, ``item`` (indices) and ``timestamp`` (Unix seconds), one row per purchase.
        catalog: the columns ``kind``, ``price`` and ``launched``, one row per item.
        rng: generator of everything that is drawn.

    Returns:
        The columns ``user``, ``item``, ``timestamp``, ``event`` (index in EVENTS), ``quantity`` and ``price`` (of one
        piece), ordered by time; events of the same second by user, item and event. About six times as many rows as
        purchases; O(rows) memory.
    """
    shopping = Shopping()
    bought = pl.concat([purchases, _repeats(purchases, shopping, rng)])
    bought = bought.with_columns(quantity=pl.Series(rng.geometric(1 - shopping.another, size=len(bought))))
    log = pl.concat([_named("purchase", bought), *_leading_to(bought, catalog, shopping, rng)])
    events = _priced(log, catalog["price"].to_numpy(), shopping, rng)
    events = pl.concat([events, _returns(events, shopping, rng)])
    return events.sort("timestamp", "user", "item", "event", maintain_order=True).select(COLUMNS)


def _leading_to(
    bought: pl.DataFrame, catalog: pl.DataFrame, shopping: Shopping, rng: np.random.Generator
) -> list[pl.DataFrame]:
    """Draw the views and carts before purchases, and those of items that are only browsed."""
    looks = 3 + np.minimum(rng.exponential(LOOK, size=len(bought)), LONGEST_LOOK).astype(np.int64)
    carts = 1 + ((looks - 2) * rng.random(len(bought))).astype(np.int64)
    in_cart = rng.random(len(bought)) < shopping.cart
    launches = catalog["launched"].dt.epoch("s").to_numpy()
    kinds = catalog["kind"].rank("dense").cast(pl.Int64).to_numpy()
    browsed = views_of_others(bought, kinds, shopping.browsed, rng)
    abandoned = browsed.filter(rng.random(len(browsed)) < shopping.abandoned)
    return [
        _named("view", _before(bought, looks).with_columns(quantity=pl.lit(1, dtype=pl.Int64))),
        _named("view", earlier_views(bought, launches, shopping.earlier, rng)),
        _named("view", browsed),
        _named("cart", _before(bought, carts).filter(in_cart)),
        _named("cart", _before(abandoned, -rng.integers(2, 10, size=len(abandoned)))),
    ]


def _repeats(purchases: pl.DataFrame, shopping: Shopping, rng: np.random.Generator) -> pl.DataFrame:
    """Draw purchases of the same user and item at the time of a later purchase of the user."""
    ordered = purchases.sort("user", "timestamp", maintain_order=True)
    ends = np.searchsorted(ordered["user"], ordered["user"], side="right")
    rows = np.arange(len(ordered))
    later = rows + 1 + (rng.random(len(rows)) * (ends - rows - 1)).astype(np.int64)
    times = ordered["timestamp"].to_numpy()
    again = times[np.minimum(later, len(rows) - 1)] + rng.integers(30, 600, size=len(rows))
    drawn = rng.random(len(rows)) < shopping.repeated
    chosen = drawn & (later < ends) & (again - times >= shopping.repeat_pause)
    return ordered.with_columns(timestamp=pl.Series(again)).filter(chosen)


def _returns(events: pl.DataFrame, shopping: Shopping, rng: np.random.Generator) -> pl.DataFrame:
    """Draw returns of whole purchases, for what was paid."""
    bought = events.filter(event=EVENTS.index("purchase"))
    low, high = shopping.return_days
    delays = rng.uniform(low * DAY, high * DAY, size=len(bought)).astype(np.int64)
    returned = rng.random(len(bought)) < shopping.returned
    return _named("return", _before(bought, -delays).filter(returned)).filter(pl.col("timestamp") < END)


def _priced(
    events: pl.DataFrame, prices: Float64[ndarray, "n_items"], shopping: Shopping, rng: np.random.Generator
) -> pl.DataFrame:
    """Add the price of one piece: that of the catalog, or less if the item is on sale in that week."""
    promoted = rng.random((len(prices), (END - START) // WEEK + 1)) < shopping.promoted
    items = events["item"].to_numpy()
    factors = 1 - shopping.discount * promoted[items, (events["timestamp"].to_numpy() - START) // WEEK]
    return events.with_columns(price=pl.Series(np.round(prices[items] * factors, 2)))


def _before(frame: pl.DataFrame, seconds: Int[ndarray, "n"]) -> pl.DataFrame:
    return frame.with_columns(pl.col("timestamp") - pl.Series(seconds))


def _named(event: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(event=pl.lit(EVENTS.index(event), dtype=pl.Int8))
