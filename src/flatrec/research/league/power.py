"""How large a difference has to be for a paired t-test over few seeds to show it."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy import optimize, stats

from flatrec.evaluation.significance import SIGNIFICANCE_LEVEL

POWER = 0.8


def power(shift: float, n: int, level: float = SIGNIFICANCE_LEVEL) -> float:
    """Return the probability that a two-sided paired t-test over n differences is significant.

    The test statistic has a noncentral t distribution with n - 1 degrees of freedom (Cohen, Statistical Power Analysis
    for the Behavioral Sciences, 1988, chapter 2). Its square, of which both tails are one, has a noncentral F
    distribution, which SciPy also has where the far tail of its noncentral t is not a number.

    Args:
        shift: noncentrality above 0, which is the true mean of the differences in units of its standard error.
        n: number of differences, at least 2.
        level: significance level.
    """
    critical = float(stats.t.isf(level / 2, n - 1))
    return float(stats.ncf.sf(critical**2, 1, n - 1, shift**2))


def detectable_difference(deviation: float, n: int, level: float = SIGNIFICANCE_LEVEL) -> float:
    """Return the smallest true mean of differences that a paired t-test shows with probability 0.8.

    Args:
        deviation: standard deviation of the differences.
        n: number of differences, at least 2.
        level: significance level, two-sided.

    Raises:
        ValueError: there are fewer than two differences.
    """
    if n < 2:
        raise ValueError(f"a paired t-test needs at least 2 differences, but there are {n}")
    return _shift(n, level) * deviation / math.sqrt(n)


@lru_cache
def _shift(n: int, level: float) -> float:
    """Return the noncentrality at which the test has its power."""
    high = 4.0
    while power(high, n, level) < POWER:
        high *= 2
    return float(optimize.brentq(lambda shift: power(shift, n, level) - POWER, 1.0, high, xtol=1e-12))
