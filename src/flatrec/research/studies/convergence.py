"""RQ10: how fast do the strategies learn, by epoch, by update, by gradient and by second?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from statistics import fmean
from typing import TypeAlias

from matplotlib.figure import Figure

from flatrec.config import Component
from flatrec.data.batches import Sampler, SecondBatch
from flatrec.evaluation.significance import spread
from flatrec.registry.instantiate import build_strategy
from flatrec.research.reporting.outcome import Column, Image, Table, Value
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.report import metric_name
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Source, Study, by_strategy, grid
from flatrec.runs.selection import monitor_of

Axis: TypeAlias = Callable[[Finished], list[float]]


class Convergence(Study):
    """Loss and validation curves, and what it takes to reach the best validation score of plain training.

    The score to reach is, for each seed, the best of the first strategy's run with that seed. Gradients are those of
    batches: a step of SAM or BSAM takes two, a mixed one one more; each strategy says how many.
    """

    TITLE = "Convergence"
    QUESTION = "How soon do the strategies reach what plain training reaches (RQ10)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")
    LEAST_SEEDS = 1

    def plan(self, request: Request) -> list[Planned]:
        """The grid."""
        return grid(request)

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Curves over three axes, and a table of what it takes."""
        table = _reaching(finished)
        figures = tuple(
            (
                Image(
                    f"convergence-{what}-{unit}", title, "Mean over seeds, and a band from the lowest to the highest."
                ),
                _curves(finished, axis, unit, what),
            )
            for what in ("loss", "validation")
            for unit, axis in AXES.items()
            for title in [
                f"{'Training loss' if what == 'loss' else 'Validation ' + metric_name(_monitor(finished))} by {unit}"
            ]
        )
        return Conclusion((table,), figures, _in_words(table))


def gradients(strategy: Component) -> float:
    """Batch gradients a step, on average."""
    return build_strategy(strategy).gradients_per_step


def updates(one: Finished) -> int:
    """Updates an epoch."""
    experiment = one.planned.experiment
    batches = 2 if experiment.strategy.name.endswith("+") else 1
    return _steps(one.planned.source, experiment.training.batch_size, batches, experiment.training.second_batch)


@cache  # every curve of every run asks, and a sampler goes through all pairs
def _steps(source: Source, batch_size: int, batches: int, second_batch: SecondBatch) -> int:
    return Sampler(source.load().interactions, batch_size).steps(batches, second_batch)


def _by_epoch(one: Finished) -> list[float]:
    return [float(record.epoch) for record in one.records]


def _by_update(one: Finished) -> list[float]:
    each = updates(one)
    return [float(record.epoch * each) for record in one.records]


def _by_gradient(one: Finished) -> list[float]:
    each = updates(one) * gradients(one.planned.experiment.strategy)
    return [float(record.epoch * each) for record in one.records]


def _by_second(one: Finished) -> list[float]:
    return list(accumulate(record.train_seconds for record in one.records))


AXES: Mapping[str, Axis] = {"epoch": _by_epoch, "gradient": _by_gradient, "second": _by_second}


def _curves(finished: Sequence[Finished], axis: Axis, unit: str, what: str) -> Figure:
    panels = [
        Panel(" · ".join(place), tuple(_line(name, runs, axis, what) for name, runs in strategies.items()))
        for place, strategies in by_strategy(finished).items()
    ]
    label = "training loss" if what == "loss" else f"validation {metric_name(_monitor(finished))}"
    return lines(panels, x_label=f"{unit}s", y_label=label)


def _monitor(finished: Sequence[Finished]) -> str:
    """The metric that decided; ``score`` where it is not the same on all data sets."""
    monitors = {monitor_of(one.result) for one in finished}
    return monitors.pop() if len(monitors) == 1 else "score"


def _line(name: str, runs: Sequence[Finished], axis: Axis, what: str) -> Line:
    """The mean over the epochs that every run reached."""
    points = [
        {
            record.epoch: (x, record.loss if what == "loss" else record.valid.get(monitor_of(one.result)))
            for record, x in zip(one.records, axis(one), strict=True)
        }
        for one in runs
    ]
    shared = sorted(set.intersection(*(set(one) for one in points)))
    kept = [epoch for epoch in shared if all(one[epoch][1] is not None for one in points)]
    columns = [[one[epoch] for one in points] for epoch in kept]
    values = [[float(y) for _, y in column if y is not None] for column in columns]
    return Line(
        name,
        tuple(fmean(x for x, _ in column) for column in columns),
        tuple(map(fmean, values)),
        tuple(map(min, values)),
        tuple(map(max, values)),
    )


def _reaching(finished: Sequence[Finished]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, strategies in by_strategy(finished).items():
        first = next(iter(strategies.values()))
        goals = {one.label("seed"): _best(one) for one in first}
        for name, runs in strategies.items():
            paired = [one for one in runs if one.label("seed") in goals]
            reached = [cost for one in paired if (cost := _cost(one, goals[one.label("seed")]))]
            means = [fmean(column) for column in zip(*reached, strict=True)] if reached else [None] * 4
            best = spread([_best(one) for one in runs])
            rows.append((*place, name, *best, f"{len(reached)} of {len(paired)}", *means))
    columns = (
        *(Column(name) for name in ("data", "model", "strategy")),
        *(Column(name, "number") for name in (f"best {_monitor(finished)}", "deviation")),
        Column("reached by"),
        *(Column(name, "number", 1) for name in ("epochs", "updates", "gradients", "seconds")),
    )
    note = (
        "What it takes until the best validation score of the first strategy's run with the same seed is reached: "
        "means over the runs that reach it, training time only."
    )
    return Table("convergence", "To reach the first strategy's best", columns, tuple(rows), note)


def _best(one: Finished) -> float:
    monitor = monitor_of(one.result)
    return max((record.valid[monitor] for record in one.records if monitor in record.valid), default=0.0)


def _cost(one: Finished, goal: float) -> tuple[float, ...] | None:
    """Epochs, updates, gradients and seconds until the goal, if it is reached."""
    axes = [axis(one) for axis in (_by_epoch, _by_update, _by_gradient, _by_second)]
    for place, record in enumerate(one.records):
        if record.valid.get(monitor_of(one.result), float("-inf")) >= goal:
            return tuple(axis[place] for axis in axes)
    return None


def _in_words(table: Table) -> tuple[str, ...]:
    sentences = []
    for data, model, strategy, _, _, reached, epochs, _, spent, seconds in table.rows:
        costs = (
            f": on average {epochs:.0f} epochs, {spent:.0f} gradients, {seconds:.0f} s" if epochs is not None else ""
        )
        sentences.append(f"{strategy} ({data}, {model}) reaches it in {reached} runs{costs}.")
    return tuple(sentences)
