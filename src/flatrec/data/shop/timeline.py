"""The two years of the shop, and how busy each of their hours is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

HOUR, DAY = 3600, 86_400
START = 1_672_531_200  # 2023-01-01T00:00:00Z, a Sunday
END = 1_735_689_600  # 2025-01-01T00:00:00Z, which no event reaches
WEEKDAYS = (0.95, 0.9, 0.9, 0.95, 1.0, 1.15, 1.3)  # how busy Monday to Sunday are
HOURS = tuple(
    0.15 + np.exp(-(((hour - 20) / 3.5) ** 2)) + 0.6 * np.exp(-(((hour - 12) / 3) ** 2)) for hour in range(24)
)
YEARLY = 0.3  # the busiest days of the year, around December 5, have 1 + YEARLY times the mean
BUSIEST_DAY = 338  # day of the year


def to_seconds(progress: Float[ndarray, "n"]) -> Int[ndarray, "n"]:
    """Return the Unix seconds at which a fraction of all the activity of the two years has passed.

    Uniform fractions become times that are denser in the evening, on weekends and before Christmas. The first and the
    last hour are left free, for what happens just before and after.
    """
    edges = np.arange(START, END + HOUR, HOUR)
    seconds = np.interp(progress, _cumulated(), edges).astype(np.int64)
    clipped: ndarray = np.clip(seconds, START + HOUR, END - 2 * HOUR)
    return clipped


def _cumulated() -> Float[ndarray, "n_hours"]:
    """Return the fraction of the activity that has passed at the end of each hour, beginning with 0."""
    hours = np.arange(START, END, HOUR)
    days = hours // DAY
    weekday = np.array(WEEKDAYS)[(days + 3) % 7]  # Unix time began on a Thursday
    yearly = 1 + YEARLY * np.cos(2 * np.pi * (days - START // DAY - BUSIEST_DAY) / 365.25)
    busy = np.array(HOURS)[hours // HOUR % 24] * weekday * yearly
    return np.concatenate([[0.0], np.cumsum(busy) / busy.sum()])
