"""Verdicts of a season: paired tests over the final seeds, corrected together, and what they could have shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from scipy import stats

from flatrec.evaluation.metrics import higher_is_better
from flatrec.evaluation.significance import ROUNDING, SIGNIFICANCE_LEVEL, holm, paired_test, spread
from flatrec.research.league.power import detectable_difference
from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import Comparison, League
from flatrec.research.league.values import values_of

Word = Literal["confirmed", "not shown", "contradicted", "open", "no test"]
DEPENDS = "whether it is significant depends on tests that are open"
NO_SPREAD = "the difference is the same for every seed, which leaves no spread to test against"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the finals say of a comparison in one cell.

    Args:
        comparison: the comparison.
        cell: name of the cell.
        word: ``confirmed`` if the corrected p is below 0.05 and the method is better, ``contradicted`` if it is below
            0.05 and the method is worse, ``not shown`` otherwise; ``open`` until all runs of both are recorded, and
            while the correction depends on open tests; ``no test`` where there cannot be one.
        seeds: seeds that both have values of.
        values: values of the method, by seed: the metric, or the fraction of it that is left under the disturbance.
        baseline_values: those of the baseline.
        t: statistic of the paired t-test.
        p: its two-sided p.
        corrected_p: p after Holm's correction over all tests of the season, at most: open ones count with p = 1.
        n_tests: number of tests of the season, among which p was corrected.
        notes: what is missing, what was left out, and why there is no test, in parts of sentences.
    """

    comparison: Comparison
    cell: str
    word: Word
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    baseline_values: tuple[float, ...] = ()
    t: float | None = None
    p: float | None = None
    corrected_p: float | None = None
    n_tests: int = 1
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean of the method."""
        return fmean(self.values) if self.values else None

    @property
    def baseline_mean(self) -> float | None:
        """Mean of the baseline over the same seeds."""
        return fmean(self.baseline_values) if self.values else None

    @property
    def differences(self) -> tuple[float, ...]:
        """Values of the method minus those of the baseline, by seed."""
        return tuple(value - other for value, other in zip(self.values, self.baseline_values, strict=True))

    @property
    def difference(self) -> float | None:
        """Mean of the differences."""
        return fmean(self.differences) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the differences; None with fewer than two."""
        return spread(self.differences)[1] if len(self.values) > 1 else None

    @property
    def detectable(self) -> float | None:
        """Smallest difference that these seeds would have shown with probability 0.8 at level 0.05, uncorrected.

        None where the differences have no spread.
        """
        return self._detectable(SIGNIFICANCE_LEVEL)

    @property
    def corrected_detectable(self) -> float | None:
        """The same at the strictest level of Holm's correction, 0.05 divided by the number of tests."""
        return self._detectable(SIGNIFICANCE_LEVEL / self.n_tests)

    def relative(self, amount: float | None) -> float | None:
        """Return a difference relative to the mean of the baseline; None where that is 0."""
        return amount / abs(self.baseline_mean) if amount is not None and self.baseline_mean else None

    def _detectable(self, level: float) -> float | None:
        deviation = self.deviation
        if deviation is None or deviation <= ROUNDING * max(map(abs, (*self.values, *self.baseline_values))):
            return None
        return detectable_difference(deviation, len(self.values), level)


def verdicts(league: League, runs: Mapping[tuple[str, str], MethodRuns]) -> list[Verdict]:
    """Return the verdict of each comparison in each of its cells, in the order of the league.

    All p values of the season are corrected together by Holm's method, in which a test that is still open counts with
    p = 1. Holm's corrected values never rise when one of the p values falls, so a significant difference stays
    significant as more tests come in. One that is not yet, but would be if all open tests had p = 0, is open as well,
    so that no verdict changes.
    """
    measured = [
        _measured(comparison, runs[cell.name, comparison.method], runs[cell.name, comparison.baseline])
        for comparison in league.comparisons
        for cell in league.cells
        if not comparison.cells or cell.name in comparison.cells
    ]
    n_tests = sum(one.word != "no test" for one in measured)
    measured = [replace(one, n_tests=max(n_tests, 1)) for one in measured]
    worst = holm([None if one.word == "no test" else 1.0 if one.p is None else one.p for one in measured])
    best = holm([None if one.word in ("no test", "open") else 1.0 if one.p is None else one.p for one in measured])
    return [
        one if one.p is None or high is None or low is None else _judged(one, low, high)
        for one, low, high in zip(measured, best, worst, strict=True)
    ]


def _judged(one: Verdict, best: float, worst: float) -> Verdict:
    """Return the verdict of a test by its corrected p: if all open tests have p = 0, and if they have p = 1."""
    assert one.difference is not None  # there is a p
    if worst < SIGNIFICANCE_LEVEL:
        better = (one.difference > 0) == higher_is_better(one.comparison.metric)
        return replace(one, corrected_p=worst, word="confirmed" if better else "contradicted")
    if best < SIGNIFICANCE_LEVEL:
        return replace(one, corrected_p=worst, word="open", notes=(*one.notes, DEPENDS))
    return replace(one, corrected_p=worst)


def _measured(comparison: Comparison, method: MethodRuns, baseline: MethodRuns) -> Verdict:
    """Return the values and the test of a comparison in a cell, without a correction."""
    sides = [values_of(side, comparison.metric, comparison.under) for side in (method, baseline)]
    seeds = tuple(seed for seed in method.seeds if all(seed in side.by_seed for side in sides))
    one = Verdict(
        comparison=comparison,
        cell=method.cell,
        word="open",
        seeds=seeds,
        values=tuple(sides[0].by_seed[seed] for seed in seeds),
        baseline_values=tuple(sides[1].by_seed[seed] for seed in seeds),
        notes=(*method.gaps, *baseline.gaps, *(side.lacks for side in sides if side.without)),
    )
    if method.never_trains or baseline.never_trains or any(side.are_absent for side in sides):
        return replace(one, word="no test")
    return _tested(one) if method.is_complete and baseline.is_complete else one


def _tested(one: Verdict) -> Verdict:
    if len(one.seeds) < 2:
        left = "no seed is left" if not one.seeds else f"only seed {one.seeds[0]} is left"
        return replace(one, word="no test", notes=(*one.notes, left))
    p = paired_test(one.values, one.baseline_values).t_p
    if p is None:
        return replace(one, word="not shown", notes=(*one.notes, NO_SPREAD))
    t = None if one.detectable is None else float(stats.ttest_rel(one.values, one.baseline_values).statistic)
    return replace(one, word="not shown", t=t, p=p)
