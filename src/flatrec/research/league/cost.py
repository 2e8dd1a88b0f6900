"""What methods cost and reach: quality against seconds, and at an equal budget of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.league.records import Record
from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import League
from flatrec.research.league.values import Spread, values_of


@dataclass(frozen=True)
class Cost:
    """Means over the finals of a method in a cell.

    Args:
        epochs: epochs that were trained, those after the best one included.
        gradients: gradients of batches.
        seconds_per_epoch: seconds of an epoch by the clock, without evaluations; the median over all trials and finals,
            since one run that had to wait for others says nothing of the method.
        tuning_epochs: epochs of all trials together.
    """

    epochs: float
    gradients: float
    seconds_per_epoch: float
    tuning_epochs: int

    @property
    def seconds(self) -> float:
        """Seconds of training of a final."""
        return self.seconds_per_epoch * self.epochs

    @property
    def tuning_seconds(self) -> float:
        """Seconds of training of all trials together."""
        return self.seconds_per_epoch * self.tuning_epochs


def cost_of(runs: MethodRuns) -> Cost | None:
    """Return the cost of a method in a cell; None while there is no final with a score."""
    if not runs.scored:
        return None
    return Cost(
        fmean(record.epochs for record in runs.scored),
        fmean(record.gradients for record in runs.scored),
        _seconds_per_epoch([*runs.trials, *runs.scored]),
        sum(record.epochs for record in runs.trials),
    )


def _seconds_per_epoch(records: Sequence[Record]) -> float:
    found = [record.seconds / record.epochs for record in records if record.epochs]
    return median(found) if found else 0.0  # a baseline has no epochs


@dataclass(frozen=True)
class ParetoPoint:
    """A method by quality and cost.

    Args:
        method: name of the method.
        seconds: seconds of a final.
        quality: mean and deviation of the metric on the test split.
        is_dominated: whether another method is at least as good and at most as expensive, and not equal in both.
    """

    method: str
    seconds: float
    quality: Spread
    is_dominated: bool


def pareto(runs: Sequence[MethodRuns], metric: str) -> list[ParetoPoint]:
    """Return the methods of a cell that have finals with a value of a metric, in their order."""
    found = []
    for one in runs:
        quality = values_of(one, metric).spread
        if quality.mean is not None and (cost := cost_of(one)) is not None:
            found.append((one.method, cost.seconds, quality, quality.mean))
    sign = 1 if higher_is_better(metric) else -1
    points = [(seconds, sign * mean) for _, seconds, _, mean in found]
    return [
        ParetoPoint(method, seconds, quality, is_dominated(point, points))
        for (method, seconds, quality, _), point in zip(found, points, strict=True)
    ]


def is_dominated(point: tuple[float, float], points: Sequence[tuple[float, float]]) -> bool:
    """Return True if another point costs at most as much and is at least as good, and is not equal.

    Args:
        point: cost and quality.
        points: all points.
    """
    return any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)


def budget_in(league: League, runs: Mapping[tuple[str, str], MethodRuns], cell: str) -> float | None:
    """Return the gradients of the comparison at equal cost in a cell; None while they are not known.

    They are those of the rules, or of the longest final of the method that the rules name.
    """
    if league.rules.budget:
        return float(league.rules.budget)
    named = runs[cell, league.rules.budget_of or league.methods[0].name]
    return max((record.gradients for record in named.scored), default=None)


def within_budget(runs: MethodRuns, budget: float) -> dict[int, float]:
    """Return, by seed, the best validation score that each final reached with at most so many gradients."""
    reached = {record.seed: record.validation.best(budget) for record in runs.scored}
    return {seed: score for seed, score in reached.items() if score is not None}
