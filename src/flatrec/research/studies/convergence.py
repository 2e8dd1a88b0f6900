"""RQ10: how fast do the strategies learn, by epoch, by update, by gradient and by second?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from statistics import fmean
from typing import TypeAlias

from matplotlib.figure import Figure

from flatrec.data.batches import SecondBatch
from flatrec.evaluation.metrics import higher_is_better
from flatrec.evaluation.significance import spread
from flatrec.registry.instantiate import build_strategy
from flatrec.research.reporting.best import best_of
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.study_result import Column, Image, Table, Value
from flatrec.research.studies.base import (
    Analysis,
    FinishedRun,
    PlannedRun,
    Request,
    Source,
    Study,
    StudyRuns,
    grid,
    group_by_strategy,
)
from flatrec.runs.selection import monitor_of
from flatrec.sampling.sampler import Sampler

Axis: TypeAlias = Callable[[FinishedRun], list[float]]


class ConvergenceStudy(Study):
    """Loss and validation curves, and the cost of reaching the best validation score of plain training.

    The score to reach is, for each seed, the best of the first strategy's run with that seed. The number of gradients
    per step is that which each strategy states.
    """

    NAME = "convergence"
    TITLE = "Convergence"
    QUESTION = "How soon do the strategies reach what plain training reaches (RQ10)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")
    MIN_SEEDS = 1

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid."""
        return grid(request)

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Draw curves over three axes, and make a table of costs."""
        table = _costs(runs.finished)
        monitor = metric_name(_monitor(runs.finished))
        figures = tuple(
            (
                Image(
                    f"convergence-{what}-{unit}", title, "Mean over seeds, and a band from the lowest to the highest."
                ),
                _curves(runs.finished, axis, unit, what),
            )
            for what in ("loss", "validation")
            for unit, axis in AXES.items()
            for title in [f"{'Training loss' if what == 'loss' else f'Validation {monitor}'} by {unit}"]
        )
        return Analysis((table,), figures, _findings(table))


def steps_per_epoch(run: FinishedRun) -> int:
    """Return the number of updates per epoch."""
    strategy = build_strategy(run.planned.experiment.strategy)
    training = run.planned.experiment.training
    return _steps(run.planned.source, training.batch_size, strategy.batches_per_step, training.second_batch)


@cache  # every curve of every run asks, and a sampler goes through all interactions
def _steps(source: Source, batch_size: int, batches: int, second_batch: SecondBatch) -> int:
    return Sampler(source.load().interactions, batch_size).steps(batches, second_batch)


def _by_epoch(run: FinishedRun) -> list[float]:
    return [float(record.epoch) for record in run.records]


def _by_update(run: FinishedRun) -> list[float]:
    steps = steps_per_epoch(run)
    return [float(record.epoch * steps) for record in run.records]


def _by_gradient(run: FinishedRun) -> list[float]:
    gradients = steps_per_epoch(run) * build_strategy(run.planned.experiment.strategy).gradients_per_step
    return [float(record.epoch * gradients) for record in run.records]


def _by_second(run: FinishedRun) -> list[float]:
    return list(accumulate(record.train_seconds for record in run.records))


AXES: Mapping[str, Axis] = {"epoch": _by_epoch, "gradient": _by_gradient, "second": _by_second}


def _curves(finished: Sequence[FinishedRun], axis: Axis, unit: str, what: str) -> Figure:
    panels = [
        Panel(" · ".join(place), tuple(_line(name, runs, axis, what) for name, runs in strategies.items()))
        for place, strategies in group_by_strategy(finished).items()
    ]
    label = "training loss" if what == "loss" else f"validation {metric_name(_monitor(finished))}"
    return lines(panels, x_label=f"{unit}s", y_label=label)


def _monitor(finished: Sequence[FinishedRun]) -> str:
    """Return the metric that chose epochs; ``score`` where it is not the same on all data sets."""
    monitors = {monitor_of(run.result) for run in finished}
    return monitors.pop() if len(monitors) == 1 else "score"


def _line(name: str, runs: Sequence[FinishedRun], axis: Axis, what: str) -> Line:
    """Return the mean over runs at the epochs that every run reached."""
    points = [
        {
            record.epoch: (x, record.loss if what == "loss" else record.valid.get(monitor_of(run.result)))
            for record, x in zip(run.records, axis(run), strict=True)
        }
        for run in runs
    ]
    shared = sorted(set.intersection(*(set(by_epoch) for by_epoch in points)))
    measured = [epoch for epoch in shared if all(by_epoch[epoch][1] is not None for by_epoch in points)]
    columns = [[by_epoch[epoch] for by_epoch in points] for epoch in measured]
    values = [[float(y) for _, y in column if y is not None] for column in columns]
    return Line(
        name,
        tuple(fmean(x for x, _ in column) for column in columns),
        tuple(map(fmean, values)),
        tuple(map(min, values)),
        tuple(map(max, values)),
    )


def _costs(finished: Sequence[FinishedRun]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, strategies in group_by_strategy(finished).items():
        first = next(iter(strategies.values()))
        goals = {run.label("seed"): _best(run) for run in first}
        for name, runs in strategies.items():
            paired = [run for run in runs if run.label("seed") in goals]
            reached = [cost for run in paired if (cost := _cost(run, goals[run.label("seed")]))]
            means = [fmean(column) for column in zip(*reached, strict=True)] if reached else [None] * 4
            best = spread([_best(run) for run in runs])
            rows.append((*place, name, *best, f"{len(reached)} of {len(paired)}", *means))
    monitor = _monitor(finished)
    columns = (
        *(Column(name) for name in ("data", "model", "strategy")),
        Column(f"best {monitor}", "number", best=best_of(monitor)),
        Column("deviation", "number"),
        Column("reached by"),
        *(Column(name, "number", 1) for name in ("epochs", "updates", "gradients", "seconds")),
    )
    note = (
        "Cost of reaching the best validation score of the first strategy's run with the same seed: means over "
        "the runs that reach it, training time only."
    )
    return Table("convergence", "To reach the first strategy's best", columns, tuple(rows), note, compares="strategy")


def _best(run: FinishedRun) -> float:
    monitor = monitor_of(run.result)
    best = max if higher_is_better(monitor) else min
    return best((record.valid[monitor] for record in run.records if monitor in record.valid), default=0.0)


def _cost(run: FinishedRun, goal: float) -> tuple[float, ...] | None:
    """Return epochs, updates, gradients and seconds until the goal; None if it is not reached."""
    axes = [axis(run) for axis in (_by_epoch, _by_update, _by_gradient, _by_second)]
    monitor = monitor_of(run.result)
    sign = 1 if higher_is_better(monitor) else -1
    for index, record in enumerate(run.records):
        if monitor in record.valid and sign * record.valid[monitor] >= sign * goal:
            return tuple(axis[index] for axis in axes)
    return None


def _findings(table: Table) -> tuple[str, ...]:
    sentences = []
    for data, model, strategy, _, _, reached, epochs, _, spent, seconds in table.rows:
        costs = (
            f": on average {epochs:.0f} epochs, {spent:.0f} gradients, {seconds:.0f} s" if epochs is not None else ""
        )
        sentences.append(f"{strategy} ({data}, {model}) reaches that score in {reached} runs{costs}.")
    return tuple(sentences)
