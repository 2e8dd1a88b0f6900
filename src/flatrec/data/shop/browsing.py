"""What users view before they buy, and what else they view."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.shop.timeline import DAY, START

EARLIER_DAYS = 4.0  # mean days from an earlier view to the purchase
LIKE = 0.6  # probability that another item that is viewed is of the kind that is bought
BACK = 0.05  # other items were bought by somebody 1 / BACK purchases ago, on average
NEARBY = 2400  # most seconds from a view of another item to the purchase


def earlier_views(
    bought: pl.DataFrame, launches: Int[ndarray, "n_items"], mean: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw views of what is bought, on days before; those that would be before the launch do not happen."""
    views = _copies(bought, mean, rng)
    times = views["timestamp"].to_numpy() - rng.exponential(EARLIER_DAYS * DAY, size=len(views)).astype(np.int64) - 1
    launched = np.maximum(launches, START)[views["item"].to_numpy()]
    return views.with_columns(timestamp=pl.Series(times), quantity=pl.lit(1, dtype=pl.Int64)).filter(times >= launched)


def views_of_others(
    bought: pl.DataFrame, kinds: Int[ndarray, "n_items"], mean: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw views, shortly before a purchase, of items that were bought just before by anybody.

    So they are on sale, they are in fashion, and many are of the kind that the user buys then.
    """
    views = _copies(bought.with_row_index("row"), mean, rng)
    rows = views["row"].cast(pl.Int64).to_numpy()
    back = rng.geometric(BACK, size=len(rows))
    like = rng.random(len(rows)) < LIKE
    kinds_bought = kinds[bought["item"].to_numpy()]
    times = bought["timestamp"].to_numpy()
    others = np.where(
        like, _bought_before(rows, back, kinds_bought, times), _bought_before(rows, back, 0 * kinds_bought, times)
    )
    items = bought["item"].to_numpy()[others]
    nearby = times[rows] - rng.integers(10, NEARBY, size=len(rows))
    views = views.with_columns(
        item=pl.Series(items), timestamp=pl.Series(nearby), quantity=pl.lit(1, dtype=pl.Int64)
    ).drop("row")
    return views.filter(others >= 0)


def _bought_before(
    rows: Int[ndarray, "n"], back: Int[ndarray, "n"], groups: Int[ndarray, "n_bought"], times: Int[ndarray, "n_bought"]
) -> Int[ndarray, "n"]:
    """Return the purchase so many purchases of the same group before each row, or -1 if there are fewer."""
    order = np.lexsort((times, groups))
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    before = position[rows] - back
    found = order[np.maximum(before, 0)]
    return np.where((before >= 0) & (groups[found] == groups[rows]), found, -1)


def _copies(bought: pl.DataFrame, mean: float, rng: np.random.Generator) -> pl.DataFrame:
    """Return each row as many times as a Poisson number of the given mean says."""
    return bought[np.repeat(np.arange(len(bought)), rng.poisson(mean, size=len(bought)))]
