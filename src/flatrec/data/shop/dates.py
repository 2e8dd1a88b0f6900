"""When each purchase of the shop happens, and when each item is launched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr

from flatrec.data.shop.catalog import ATTRIBUTES, Catalog
from flatrec.data.shop.growth import steady_growth
from flatrec.data.shop.purchases import Purchases
from flatrec.data.shop.timeline import DAY, END, HOUR, START, to_seconds
from flatrec.data.shop.trends import Fashion, draw_launches, draw_popularity
from flatrec.data.shop.visit_choice import choose_visits
from flatrec.data.shop.visits import Habits, draw_visits

PHASES = {"kind": 0.4, "color": 0.2}  # how far a user buys items of one value together in time (variances, sum < 1)
STEP = 360  # mean seconds from one purchase of a visit to the next
LONGEST = 2700  # most seconds from the first purchase of a visit to its last


class Dates(NamedTuple):
    """The dates of a shop, in Unix seconds."""

    purchases: Int[ndarray, "n_interactions"]
    launches: Int[ndarray, "n_items"]  # the midnight from which on each item is sold


def draw_dates(catalog: Catalog, purchases: Purchases, n_users: int, rng: np.random.Generator) -> Dates:
    """Draw the dates of purchases whose users and items are already drawn, and of the launches of the items.

    Users come to the shop, return after pauses, and may leave. Each purchase happens at one of the user's visits after
    the launch of the item, with a probability proportional to the popularity of the item at that time. What a user
    buys of one kind or color tends to come together in time: tastes move slowly.
    Cost: O(n_interactions * visits of a user) time, at most 200 visits; less than 100 MB beside the results.
    """
    fashion = Fashion()
    launches = draw_launches(len(catalog), fashion, rng)
    popularity = draw_popularity(catalog, launches, fashion, rng)
    not_before = np.zeros(n_users)
    np.maximum.at(not_before, purchases.users, launches[purchases.items])
    visits = draw_visits(np.bincount(purchases.users, minlength=n_users), not_before, Habits(), rng)
    quantiles = _quantiles(catalog, purchases, n_users, rng)
    chosen = choose_visits(purchases, visits, popularity, launches=launches, quantiles=quantiles)
    stretch = steady_growth(visits.times[chosen])
    seconds = to_seconds(stretch(visits.times))[chosen] + _offsets(chosen, rng)
    return Dates(seconds, _midnights(stretch(launches)))


def _quantiles(
    catalog: Catalog, purchases: Purchases, n_users: int, rng: np.random.Generator
) -> Float[ndarray, "n_interactions"]:
    """Draw uniform numbers that are alike for purchases of one user with the same attributes (a Gaussian copula)."""
    normal = np.sqrt(1 - sum(PHASES.values())) * rng.normal(size=len(purchases.users))
    for attribute, variance in PHASES.items():
        phases = rng.normal(size=(n_users, len(ATTRIBUTES[attribute])))
        normal += np.sqrt(variance) * phases[purchases.users, catalog.codes[attribute][purchases.items]]
    quantiles: ndarray = ndtr(normal)
    return quantiles


def _offsets(chosen: Int[ndarray, "n_interactions"], rng: np.random.Generator) -> Int[ndarray, "n_interactions"]:
    """Draw the seconds from the beginning of each purchase's visit to the purchase, in random order."""
    order = np.lexsort((rng.random(len(chosen)), chosen))
    _, firsts, counts = np.unique(chosen[order], return_index=True, return_counts=True)
    passed = np.cumsum(1 + rng.exponential(STEP, size=len(chosen)))
    passed -= np.repeat(passed[firsts], counts)
    longest = np.repeat(passed[firsts + counts - 1], counts)
    offsets = np.empty(len(chosen), dtype=np.int64)
    offsets[order] = passed * np.minimum(1, LONGEST / np.maximum(longest, 1))
    return offsets


def _midnights(launches: Float[ndarray, "n_items"]) -> Int[ndarray, "n_items"]:
    """Return the midnight of each launch, an hour or more before the launch itself."""
    before = START + launches * (END - START)
    seconds = np.where(launches < 0, before, to_seconds(launches) - HOUR)
    midnights: ndarray = (seconds // DAY * DAY).astype(np.int64)
    return midnights
