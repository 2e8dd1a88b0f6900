"""Tests of whether one strategy beats another over the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from scipy import stats

ENOUGH = 5  # number of seeds that a result needs
ROUNDING = 1e-12  # relative spread that counts as none


@dataclass(frozen=True)
class Comparison:
    """Paired two-sided tests of one list of values against another.

    Args:
        runs: number of values in each list.
        gain: relative gain of the means; None if the baseline's mean is 0.
        t_p: p of the paired t-test; None with fewer than two values or a difference without any spread.
        wilcoxon_p: p of Wilcoxon's signed-rank test; None with fewer than two values. It cannot fall below
            2^(1 - runs): 0.0625 with five.
    """

    runs: int
    gain: float | None
    t_p: float | None
    wilcoxon_p: float | None


def compare(values: Sequence[float], baseline: Sequence[float]) -> Comparison:
    """Return paired tests of two strategies, value by value, seed by seed.

    Equal lists have p = 1. If the difference is the same for all seeds, there is no spread to test against, and the
    t-test would claim certainty on two seeds as on twenty; so it has no p.

    Raises:
        ValueError: the lists differ in length or are empty.
    """
    if len(values) != len(baseline) or not values:
        raise ValueError(
            f"a paired comparison needs two lists of the same length, at least 1, but has {len(values)} and "
            f"{len(baseline)} values; run both strategies with the same seeds"
        )
    mean = fmean(baseline)
    gain = fmean(values) / mean - 1 if mean else None
    if len(values) < 2:
        return Comparison(len(values), gain, None, None)
    differences = np.subtract(values, baseline)
    differences[np.abs(differences) <= ROUNDING * np.abs([*values, *baseline]).max()] = 0
    if not differences.any():
        return Comparison(len(values), gain, 1.0, 1.0)
    constant = np.ptp(differences) <= ROUNDING * np.abs(differences).max()
    t_p = None if constant else float(stats.ttest_rel(values, baseline).pvalue)
    return Comparison(len(values), gain, t_p, float(stats.wilcoxon(differences).pvalue))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for the number of comparisons, by Holm's step-down method.

    Scandinavian Journal of Statistics 6, 1979. A p of None stays None and does not count as a comparison.
    """
    tested = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        corrected[index] = largest
    return corrected


def levene(values: Sequence[float], baseline: Sequence[float]) -> float | None:
    """Return p of Levene's test, about medians, that two lists have equal spread.

    None if one of the lists has fewer than three values; 1 if neither list has any spread.
    """
    if min(len(values), len(baseline)) < 3:
        return None
    if not np.ptp(values) and not np.ptp(baseline):
        return 1.0
    return float(stats.levene(values, baseline, center="median").pvalue)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; the latter is 0 for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else 0.0
