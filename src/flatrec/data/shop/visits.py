"""When users visit the shop: they join over time, come back after pauses of very different length, and may leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

MOST_VISITS = 200  # bounds the cost of choosing a visit for every purchase


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How users come and go; times are fractions of the two years."""

    latest_joining: float = 0.99  # the last weeks have no new user
    visits_per_purchase: float = 0.6  # mean number of visits for each purchase, besides the first visit
    loyalty: float = 0.65  # probability that a user still comes at the end of the two years
    burstiness: float = 1.2  # standard deviation of the logarithm of the pauses


class Visits(NamedTuple):
    """The visits of all users, ordered by user and time."""

    times: Float[ndarray, "n_visits"]  # fractions of the activity of the two years
    counts: Int[ndarray, "n_users"]  # number of visits of each user, at least one

    @property
    def starts(self) -> Int[ndarray, "n_users"]:
        """The index of the first visit of each user."""
        starts: ndarray = np.cumsum(self.counts) - self.counts
        return starts


def draw_visits(
    n_purchases: Int[ndarray, "n_users"],
    not_before: Float[ndarray, "n_users"],
    habits: Habits,
    rng: np.random.Generator,
) -> Visits:
    """Draw the visits of each user; the last is later than ``not_before``, when the last wanted item is launched.

    Users join evenly over time, those with many purchases earlier. Some leave soon after ``not_before``.
    """
    n_users = len(n_purchases)
    joining = habits.latest_joining * rng.random(n_users) ** (0.7 + np.log(n_purchases / n_purchases.min()))
    earliest = np.maximum(joining, not_before)
    loyal = rng.random(n_users) < habits.loyalty
    remaining = np.where(loyal, rng.beta(1.5, 1, size=n_users), rng.beta(1, 3, size=n_users))
    last = earliest + (1 - earliest) * np.maximum(remaining, 0.02)
    counts = np.minimum(1 + rng.poisson(habits.visits_per_purchase * n_purchases), MOST_VISITS)
    starts = np.cumsum(counts) - counts
    pauses = rng.lognormal(sigma=habits.burstiness, size=counts.sum())
    passed = np.cumsum(pauses)
    passed -= np.repeat(passed[starts], counts)
    total = np.repeat(passed[starts + counts - 1], counts)
    fractions = np.where(total > 0, passed / np.where(total > 0, total, 1), 1)  # the only visit is the last
    times = np.repeat(joining, counts) + fractions * np.repeat(last - joining, counts)
    return Visits(np.minimum(times, np.repeat(last, counts)), counts)
