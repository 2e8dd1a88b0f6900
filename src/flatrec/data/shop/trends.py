"""Launches of items, and how their popularity rises and falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from flatrec.data.shop.catalog import ATTRIBUTES, Catalog

BINS = 104  # the popularity of an item is constant for about a week


@dataclass(frozen=True, kw_only=True)
class Fashion:
    """How launches and popularity move; times are fractions of the two years."""

    established: float = 0.6  # fraction of items that were launched before the two years
    latest_launch: float = 0.985  # the last days have no launch
    attributes: Sequence[str] = ("kind", "color", "brand")  # whose values come into and go out of fashion
    swing: float = 0.7  # standard deviation of the logarithm of the popularity of one value over time
    novelty: float = 8.0  # popularity of an item at its launch, relative to what it keeps
    novelty_life: float = 0.1  # median time in which the novelty falls to 1 / e
    novelty_spread: float = 0.7  # standard deviation of the logarithm of that time


def draw_launches(n_items: int, fashion: Fashion, rng: np.random.Generator) -> Float[ndarray, "n_items"]:
    """Draw when items are launched: in the two years before (-1 to 0), or evenly during the two years (0 to 1)."""
    established = rng.random(n_items) < fashion.established
    moments = rng.random(n_items)
    return np.where(established, moments - 1, fashion.latest_launch * moments)


def draw_popularity(
    catalog: Catalog, launches: Float[ndarray, "n_items"], fashion: Fashion, rng: np.random.Generator
) -> Float32[ndarray, "n_items n_bins"]:
    """Draw how popular each item is in each bin of the two years, relative to its other bins; 0 before its launch.

    The popularity is the product of the trends of the item's attributes and of its novelty, which fades.
    """
    times = (np.arange(BINS) + 0.5) / BINS
    logarithm = np.zeros((len(catalog), BINS), dtype=np.float32)
    for attribute in fashion.attributes:
        trends = _waves(len(ATTRIBUTES[attribute]), times, rng) * fashion.swing
        logarithm += trends.astype(np.float32)[catalog.codes[attribute]]
    life = fashion.novelty_life * rng.lognormal(sigma=fashion.novelty_spread, size=len(catalog))
    age = times - launches[:, None]
    novelty = 1 + (fashion.novelty - 1) * np.exp(-np.maximum(age, 0) / life[:, None])
    launched = age >= -0.5 / BINS  # the bin of the launch counts
    popularity: ndarray = (np.exp(logarithm) * novelty * launched).astype(np.float32)
    return popularity


def _waves(
    n_values: int, times: Float[ndarray, "n_bins"], rng: np.random.Generator
) -> Float[ndarray, "n_values n_bins"]:
    """Draw slow curves of mean square one: each the sum of two sines with periods of eight months to three years."""
    periods = rng.uniform(1 / 3, 1.5, size=(2, n_values, 1))
    phases = rng.random((2, n_values, 1))
    waves: ndarray = np.sin(2 * np.pi * (times / periods + phases)).sum(axis=0)
    return waves
