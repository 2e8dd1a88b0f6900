"""What the finals of a method scored, by seed: a metric, or the fraction of it that is left under a disturbance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from flatrec.evaluation.significance import spread
from flatrec.research.league.records import Record
from flatrec.research.league.runs import MethodRuns, of_seeds


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of some values, the latter None for fewer than two."""

    mean: float | None = None
    deviation: float | None = None
    n: int = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return those of some values, which may be none."""
        if not values:
            return cls()
        mean, deviation = spread(values)
        return cls(mean, deviation if len(values) > 1 else None, len(values))

    def cells(self, factor: float = 1.0) -> tuple[float | None, float | None]:
        """Return both for a table, times a factor."""
        mean, deviation = (None if value is None else factor * value for value in (self.mean, self.deviation))
        return mean, deviation


@dataclass(frozen=True)
class Values:
    """Values of the finals of a method.

    Args:
        by_seed: values by seed, of the finals that have one.
        without: seeds of finals that are scored, but have no value.
        lacks: what the latter lack, in part of a sentence; empty if there are none.
    """

    by_seed: Mapping[int, float]
    without: tuple[int, ...]
    lacks: str

    @property
    def spread(self) -> Spread:
        """Mean and deviation of the values."""
        return Spread.of(list(self.by_seed.values()))

    @property
    def are_absent(self) -> bool:
        """Whether there are scored finals, none of which has a value."""
        return bool(self.without) and not self.by_seed


def values_of(runs: MethodRuns, metric: str, under: str = "") -> Values:
    """Return the values of the finals that are recorded.

    Args:
        runs: trials and finals of the method.
        metric: metric of the test split.
        under: disturbance and level, such as ``vectors=0.5``; empty for none.
    """
    values = {record.seed: value_of(record, metric, under) for record in runs.scored}
    without = tuple(seed for seed, value in values.items() if value is None)
    return Values(
        {seed: value for seed, value in values.items() if value is not None},
        without,
        _lacks(runs, f"scores under {under}" if under else metric, without) if without else "",
    )


def _lacks(runs: MethodRuns, what: str, seeds: Sequence[int]) -> str:
    """Say which finals lack something."""
    if len(seeds) < len(runs.scored):
        return f"{runs.method}: {of_seeds('final', seeds)} without {what}"
    reason = f", which may not apply to {runs.model}" if what.startswith("scores under") else ""
    return f"{runs.method}: finals without {what}{reason}"


def value_of(record: Record, metric: str, under: str = "") -> float | None:
    """Return a metric of a final, or the fraction of it that is left, on the mean over draws.

    None where it was not measured, is not defined, or was 0 to begin with.
    """
    before = record.test.get(metric, math.nan)
    if not under:
        return None if math.isnan(before) else before
    draws = [draw.get(metric, math.nan) for draw in record.disturbed.get(under, ())]
    defined = [value for value in draws if not math.isnan(value)]
    return fmean(defined) / before if defined and before and not math.isnan(before) else None
