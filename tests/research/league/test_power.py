"""Power of the paired t-test, against integration, simulation and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from flatrec.research.league.power import detectable_difference, power

GRID = np.linspace(0.0, 12.0, 8_001)  # of a chi variable with four degrees of freedom
DENSITY = GRID**3 / 2 * np.exp(-(GRID**2) / 2)


def beyond(t):
    """P(|T| > t) for four degrees of freedom, in closed form."""
    sine, cosine = t / math.sqrt(4 + t * t), 2 / math.sqrt(4 + t * t)
    return 1 - sine * (1 + cosine**2 / 2)


def bisected(function, low, high):
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


def integrated(shift, critical):
    """P(|Z + shift| > critical * X / 2), Z standard normal and X chi with four degrees of freedom."""
    bounds = critical * GRID / 2
    return np.trapezoid(DENSITY * (ndtr(shift - bounds) + ndtr(-shift - bounds)), GRID)


@pytest.mark.parametrize("level", [0.05, 0.05 / 41])
def test_power_over_five_seeds_is_that_of_the_definition(level):
    critical = bisected(lambda t: level - beyond(t), 0.0, 100.0)
    assert beyond(critical) == pytest.approx(level, abs=1e-12)
    for shift in (1.0, 3.0, 8.0):
        assert power(shift, 5, level) == pytest.approx(integrated(shift, critical), abs=1e-8)


def test_the_detectable_difference_is_found_by_bisection_of_the_integral():
    critical = bisected(lambda t: 0.05 - beyond(t), 0.0, 100.0)
    low, high = 3.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if integrated(middle, critical) < 0.8 else (low, middle)
    assert detectable_difference(2.0, 5) == pytest.approx(2.0 * low / math.sqrt(5), rel=1e-6)


def test_four_in_five_simulated_seasons_show_the_detectable_difference():
    draws = np.random.default_rng(0).normal(detectable_difference(3.0, 5), 3.0, (200_000, 5))
    t = draws.mean(1) / (draws.std(1, ddof=1) / math.sqrt(5))
    critical = bisected(lambda t: 0.05 - beyond(t), 0.0, 100.0)
    assert (abs(t) > critical).mean() == pytest.approx(0.8, abs=0.004)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_it_is_found_for_any_number_of_seeds(n):
    shift = detectable_difference(1.0, n) * math.sqrt(n)
    assert power(shift, n) == pytest.approx(0.8, abs=1e-9)


def test_a_stricter_level_asks_for_a_larger_difference_and_one_seed_shows_nothing():
    assert detectable_difference(1.0, 5, 0.05 / 41) > 2 * detectable_difference(1.0, 5)
    with pytest.raises(ValueError, match="at least 2 differences, but there are 1"):
        detectable_difference(1.0, 1)
