"""How much worse trained models score under a disturbance: rows by its kind and level, strategy against strategy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from matplotlib.figure import Figure

from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL, holm, spread
from flatrec.research.analysis.perturbation import relative_drop
from flatrec.research.reporting.best import best_of
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.reported import reported
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Column, Table, Value, against_first
from flatrec.research.studies.base import FinishedRun, Label
from flatrec.research.studies.comparisons import paired_over_seeds


@dataclass(frozen=True)
class MetricDrop:
    """Drop of a metric for one strategy under one disturbance.

    Args:
        place: data set, model, kind and level of the disturbance.
        strategy: name of the strategy.
        original: undisturbed scores, one per seed; seeds that score 0 have nothing to lose and are left out.
        disturbed: means over draws, one per seed.
        drops: relative drops, one per seed.
        p: corrected p of the paired t-test of the drops against the first strategy's; None for the first.
        reported: disturbed score that the paper prints.
    """

    place: tuple[str, str, str, str]
    strategy: str
    original: tuple[float, ...]
    disturbed: tuple[float, ...]
    drops: tuple[float, ...]
    p: float | None = None
    reported: float | None = None


def metric_drops(finished: Sequence[FinishedRun], measure: str, metric: str) -> list[MetricDrop]:
    """Make a row per data set, model, kind, level and strategy, in the order of the runs.

    Args:
        finished: runs that have disturbed scores by kind and level.
        measure: name of the measure that gave the scores.
        metric: metric of the test split.
    """
    groups: dict[tuple[str, str, str, str], dict[str, dict[Label, tuple[float, float]]]] = {}
    names = {}
    for run in finished:
        original = run.result["test"][metric]
        names[str(run.label("data"))] = run.dataset
        for kind, levels in run.measured[measure].items():
            for level, draws in levels.items():
                place = (str(run.label("data")), str(run.label("model")), kind, level)
                if original:
                    of_strategy = groups.setdefault(place, {}).setdefault(str(run.label("strategy")), {})
                    of_strategy[run.label("seed")] = (original, fmean(draw[metric] for draw in draws))
    rows = [row for place, by_strategy in groups.items() for row in _rows(place, by_strategy)]
    corrected = holm([row.p for row in rows])
    return [replace(row, p=p, reported=_reported(row, names, metric)) for row, p in zip(rows, corrected, strict=True)]


def table(rows: Sequence[MetricDrop], *, name: str, title: str, metric: str) -> Table:
    """Make a table of all rows."""
    columns = (
        *(Column(heading) for heading in ("data", "model", "kind", "level", "strategy")),
        Column("runs", "number", 0),
        Column(f"{metric} before", "number"),
        Column(f"{metric} after", "number", best=best_of(metric)),
        Column("drop", "percent", best="lowest"),
        Column("deviation", "percent"),
        Column("p", "p"),
        Column("reported after", "number"),
    )
    note = (
        "Drop = (before - after) / before of each run, averaged over its draws; p of the paired t-test of the drops "
        "against those of the first strategy, corrected by Holm."
    )
    return Table(name, title, columns, tuple(_cells(row) for row in rows), note, compares="strategy")


def figure(rows: Sequence[MetricDrop], metric: str, level: str) -> Figure:
    """Draw the drop over the level: a line per strategy, a panel per data set, model and kind.

    Args:
        rows: what to draw.
        metric: metric of the rows.
        level: label of the horizontal axis.
    """
    panels: dict[tuple[str, ...], dict[str, list[MetricDrop]]] = {}
    for row in rows:
        panels.setdefault(row.place[:-1], {}).setdefault(row.strategy, []).append(row)
    drawn = [
        Panel(" · ".join(place), tuple(_line(name, of_strategy) for name, of_strategy in by_strategy.items()))
        for place, by_strategy in panels.items()
    ]
    label = f"relative drop of {metric_name(metric)}, %"
    return lines(drawn, x_label=level, y_label=label, log_x=all(float(row.place[-1]) > 0 for row in rows))


def findings_of(rows: Sequence[MetricDrop]) -> tuple[str, ...]:
    """Say what each strategy loses at the highest level, and which lose significantly less or more than the first."""
    sentences = []
    for data, model, kind in dict.fromkeys(row.place[:-1] for row in rows):
        of_kind = [row for row in rows if row.place[:-1] == (data, model, kind)]
        last = [row for row in of_kind if row.place[-1] == of_kind[-1].place[-1]]
        changes = ", ".join(f"{row.strategy} {percent(-fmean(row.drops))}" for row in last)
        sentences.append(f"{kind} at {last[0].place[-1]} ({data}, {model}): {changes}.")
        sentences += [_verdict(row, last[0]) for row in last if row.p is not None and row.p < SIGNIFICANCE_LEVEL]
    if not any(row.p is not None and row.p < SIGNIFICANCE_LEVEL for row in rows):
        sentences.append("No strategy's drop differs significantly from the first strategy's.")
    if rows and (few := min(len(row.drops) for row in rows)) < MIN_SEEDS:
        sentences.append(f"Some rows have {few} runs; fewer than {MIN_SEEDS} runs are not a result.")
    return tuple(sentences)


def card_columns(
    rows: Sequence[MetricDrop], kinds: Iterable[str], words: tuple[str, str, str], *, metric: str, level: str
) -> tuple[CardColumn, ...]:
    """Make a card column of each kind's drops at the highest level of a data set and model; smaller drops are better.

    Args:
        rows: all rows.
        kinds: kinds of disturbance.
        words: name, title and place of a column, with ``{}`` for the kind.
        metric: metric of the rows.
        level: what the level is called.
    """
    columns = []
    for kind in kinds:
        entries = _card_entries([row for row in rows if row.place[2] == kind], metric, level)
        name, title, place = (text.format(kind) for text in words)
        columns.append(CardColumn(name, title, against_first(entries), place, "%"))
    return tuple(columns)


def _card_entries(rows: Sequence[MetricDrop], metric: str, level: str) -> Iterator[CardEntry]:
    for row in rows:
        data, model, _, value = row.place
        highest = max((other.place[-1] for other in rows if other.place[:2] == (data, model)), key=float)
        if float(value) == float(highest):
            condition = f"{metric_name(metric)}, {level} {value}"
            drop, deviation = spread(row.drops)
            yield CardEntry(data, model, row.strategy, drop, deviation, row.p, condition=condition, runs=len(row.drops))


def _rows(
    place: tuple[str, str, str, str], by_strategy: Mapping[str, Mapping[Label, tuple[float, float]]]
) -> list[MetricDrop]:
    first = next(iter(by_strategy))
    rows = []
    for strategy, by_seed in by_strategy.items():
        original, disturbed = zip(*by_seed.values(), strict=True)
        own, others = (
            {seed: relative_drop(*scores) for seed, scores in side.items()} for side in (by_seed, by_strategy[first])
        )
        test = paired_over_seeds(own, others) if strategy != first else None
        rows.append(MetricDrop(place, strategy, original, disturbed, tuple(own.values()), test.t_p if test else None))
    return rows


def _reported(row: MetricDrop, names: Mapping[str, str], metric: str) -> float | None:
    data, model, kind, level = row.place
    cell = reported(names[data], model, row.strategy, metric, condition=f"{kind} {level}")
    return cell.value if cell else None


def _cells(row: MetricDrop) -> tuple[Value, ...]:
    means = (fmean(row.original), fmean(row.disturbed), *spread(row.drops))
    return (*row.place, row.strategy, len(row.drops), *means, row.p, row.reported)


def _line(name: str, rows: Sequence[MetricDrop]) -> Line:
    percentages = [[100 * drop for drop in row.drops] for row in rows]
    ends = (tuple(map(min, percentages)), tuple(map(max, percentages)))
    return Line(name, tuple(float(row.place[-1]) for row in rows), tuple(map(fmean, percentages)), *ends)


def _verdict(row: MetricDrop, first: MetricDrop) -> str:
    less = fmean(row.drops) < fmean(first.drops)
    return f"{row.strategy} loses {'less' if less else 'more'} than {first.strategy} there ({p_value(row.p or 0)})."
