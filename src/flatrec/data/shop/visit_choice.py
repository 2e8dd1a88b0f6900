"""At which of the user's visits each purchase happens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray

from flatrec.data.shop.purchases import Purchases
from flatrec.data.shop.visits import Visits

CELLS = 2_000_000  # combinations of a purchase and a visit that are weighed at a time


def choose_visits(
    purchases: Purchases,
    visits: Visits,
    popularity: Float32[ndarray, "n_items n_bins"],
    *,
    launches: Float[ndarray, "n_items"],
    quantiles: Float[ndarray, "n_interactions"],
) -> Int[ndarray, "n_interactions"]:
    """Return the index of the visit of each purchase.

    A visit before the launch has no weight, another has the popularity of the item at that time; the quantile of a
    purchase among the weighted visits of its user, ordered by time, says which one it is.

    Args:
        purchases: the user and the item of each purchase.
        visits: the visits of all users; the last of each is after the launch of everything that the user buys.
        popularity: the popularity of each item in each bin of time; positive from its launch on.
        launches: the launch of each item.
        quantiles: a number in [0, 1] per purchase.
    """
    users, items = purchases
    lengths = visits.counts[users]
    bins = np.minimum((visits.times * popularity.shape[1]).astype(np.int64), popularity.shape[1] - 1)
    chosen = np.empty(len(users), dtype=np.int64)
    for part in _parts(lengths):
        counts = lengths[part]
        firsts = np.cumsum(counts) - counts
        cells = np.arange(counts.sum()) + np.repeat(visits.starts[users[part]] - firsts, counts)
        wanted = np.repeat(items[part], counts)
        weights = popularity[wanted, bins[cells]] * (visits.times[cells] >= launches[wanted])
        chosen[part] = cells[_weighted_quantiles(weights, counts, quantiles[part])]
    return chosen


def _parts(lengths: Int[ndarray, "n"]) -> Iterator[slice]:
    """Yield slices whose lengths add up to at most CELLS, or of one entry."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first] - lengths[first]
        stop = max(int(np.searchsorted(ends, before + CELLS, side="right")), first + 1)
        yield slice(first, stop)
        first = stop


def _weighted_quantiles(
    weights: Float32[ndarray, "n_cells"], counts: Int[ndarray, "n"], quantiles: Float[ndarray, "n"]
) -> Int[ndarray, "n"]:
    """Return one cell per group of consecutive cells: where its cumulated weights pass the quantile."""
    cumulated = np.cumsum(weights, dtype=np.float64)
    lasts = np.cumsum(counts) - 1
    ends = cumulated[lasts]
    begins = np.concatenate([[0.0], ends[:-1]])
    cells = np.searchsorted(cumulated, begins + quantiles * (ends - begins), side="right")
    picked: ndarray = np.minimum(cells, lasts)
    return picked
