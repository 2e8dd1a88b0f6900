"""Tests of whether one strategy beats another over the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from scipy import stats

MIN_SEEDS = 5  # seeds that a result needs
SIGNIFICANCE_LEVEL = 0.05  # a difference is significant if its corrected p is below
ROUNDING = 1e-12  # a smaller relative spread is rounding


@dataclass(frozen=True)
class PairedTest:
    """Result of paired two-sided tests of one list of values against another.

    Args:
        runs: number of pairs.
        gain: relative gain of the means, above 0 if the values are better: where lower values are better, by which
            fraction of it the mean lies below that of the baseline. None where the baseline's mean is 0.
        t_p: p of the paired t-test; None with fewer than two pairs or a difference without any spread.
        wilcoxon_p: p of Wilcoxon's signed-rank test; None with fewer than two pairs. It cannot fall below
            2^(1 - runs): 0.0625 with five.
    """

    runs: int
    gain: float | None
    t_p: float | None
    wilcoxon_p: float | None


def paired_test(values: Sequence[float], baseline: Sequence[float], *, higher_is_better: bool = True) -> PairedTest:
    """Test the scores of two strategies against each other, paired by seed; or of two models, paired by user.

    Pairs in which either value is NaN, as a metric has for users for whom it is not defined, are left out.

    Equal lists have p = 1. Lists that differ by the same amount everywhere have no spread to test against: the
    t-test would claim certainty, on two seeds as on twenty, so it has no p.

    Raises:
        ValueError: the lists differ in length, or there is no pair.
    """
    if len(values) != len(baseline) or not len(values):
        raise ValueError(
            f"a paired comparison needs as many values on both sides, but has {len(values)} and "
            f"{len(baseline)}; run both with the same seeds"
        )
    pairs = [pair for pair in zip(values, baseline, strict=True) if not any(map(math.isnan, pair))]
    if not pairs:
        raise ValueError("a paired comparison needs values on both sides of a pair, but each pair has a NaN")
    values, baseline = zip(*pairs, strict=True)
    mean = fmean(baseline)
    gain = (fmean(values) / mean - 1) * (1 if higher_is_better else -1) if mean else None
    if len(values) < 2:
        return PairedTest(len(values), gain, None, None)
    differences = np.subtract(values, baseline)
    differences[np.abs(differences) <= ROUNDING * np.abs([*values, *baseline]).max()] = 0
    if not differences.any():
        return PairedTest(len(values), gain, 1.0, 1.0)
    constant = np.ptp(differences) <= ROUNDING * np.abs(differences).max()
    t_p = None if constant else float(stats.ttest_rel(values, baseline).pvalue)
    return PairedTest(len(values), gain, t_p, float(stats.wilcoxon(differences).pvalue))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values after Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979).

    A missing p stays missing and does not count as a comparison.
    """
    present = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(present):
        largest = max(largest, min(1.0, p * (len(present) - rank)))
        corrected[index] = largest
    return corrected


def levene(values: Sequence[float], baseline: Sequence[float]) -> float | None:
    """Return p of Levene's test, about medians, that two lists spread equally.

    It is None if a list has fewer than three values. Two lists without any spread have p = 1.
    """
    if min(len(values), len(baseline)) < 3:
        return None
    if not np.ptp(values) and not np.ptp(baseline):
        return 1.0
    return float(stats.levene(values, baseline, center="median").pvalue)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation, which is 0 for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else 0.0
