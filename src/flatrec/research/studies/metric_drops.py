"""How much worse trained models score under a disturbance: rows by its kind and level, strategy against strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from matplotlib.figure import Figure

from flatrec.evaluation.significance import ENOUGH, compare, holm, spread
from flatrec.research.analysis.perturbation import relative_decrease
from flatrec.research.reporting.formats import percent
from flatrec.research.reporting.outcome import Column, Table, Value
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.report import LEVEL, metric_name, p_value
from flatrec.research.reporting.reported import reported
from flatrec.research.studies.base import Finished, Label


@dataclass(frozen=True)
class Decrease:
    """One strategy under one disturbance.

    Args:
        place: data set, model, kind, level.
        strategy: which.
        original: undisturbed score, one a seed; seeds that score 0 have nothing to lose and are left out.
        disturbed: mean over draws, one a seed.
        decreases: relative, one a seed.
        p: of the paired t-test of the decreases against the first strategy's, corrected; None for the first.
        reported: the paper's disturbed score.
    """

    place: tuple[str, str, str, str]
    strategy: str
    original: tuple[float, ...]
    disturbed: tuple[float, ...]
    decreases: tuple[float, ...]
    p: float | None = None
    reported: float | None = None


def decreases(finished: Sequence[Finished], measure: str, metric: str) -> list[Decrease]:
    """A row a data set, model, kind, level and strategy, in the order of the runs.

    Args:
        finished: runs whose measurement has the disturbed scores by kind and level.
        measure: its name.
        metric: of the test part.
    """
    groups: dict[tuple[str, str, str, str], dict[str, dict[Label, tuple[float, float]]]] = {}
    names = {}
    for one in finished:
        original = one.result["test"][metric]
        names[str(one.label("data"))] = one.dataset
        for kind, levels in one.measured[measure].items():
            for level, draws in levels.items():
                place = (str(one.label("data")), str(one.label("model")), kind, level)
                if original:
                    of_strategy = groups.setdefault(place, {}).setdefault(str(one.label("strategy")), {})
                    of_strategy[one.label("seed")] = (original, fmean(draw[metric] for draw in draws))
    rows = [row for place, by_strategy in groups.items() for row in _rows(place, by_strategy)]
    corrected = holm([row.p for row in rows])
    return [replace(row, p=p, reported=_reported(row, names, metric)) for row, p in zip(rows, corrected, strict=True)]


def table(rows: Sequence[Decrease], *, name: str, title: str, metric: str) -> Table:
    """All of it."""
    cells = tuple(_cells(row) for row in rows)
    columns = (
        *(Column(text) for text in ("data", "model", "kind", "level", "strategy")),
        Column("runs", "number", 0),
        *(Column(text, "number") for text in (f"{metric} before", f"{metric} after")),
        *(Column(text, "percent") for text in ("decrease", "deviation")),
        Column("p", "p"),
        Column("reported after", "number"),
    )
    note = (
        "Decrease = (before - after) / before, of each run, its draws averaged; p of the paired t-test of the "
        "decreases against the first strategy's, corrected by Holm."
    )
    return Table(name, title, columns, cells, note)


def figure(rows: Sequence[Decrease], metric: str, level: str) -> Figure:
    """The decrease over the level, which the axis calls so, a line a strategy, a panel a data set, model and kind."""
    panels: dict[tuple[str, ...], dict[str, list[Decrease]]] = {}
    for row in rows:
        panels.setdefault(row.place[:-1], {}).setdefault(row.strategy, []).append(row)
    drawn = [
        Panel(" · ".join(place), tuple(_line(name, these) for name, these in by_strategy.items()))
        for place, by_strategy in panels.items()
    ]
    label = f"relative decrease of {metric_name(metric)}, %"
    return lines(drawn, x_label=level, y_label=label, log_x=all(float(row.place[-1]) > 0 for row in rows))


def in_words(rows: Sequence[Decrease]) -> tuple[str, ...]:
    """What the first strategy loses at the highest level, and which others lose clearly less or more."""
    sentences = []
    for place in dict.fromkeys(row.place[:-1] for row in rows):
        these = [row for row in rows if row.place[:-1] == place]
        last = [row for row in these if row.place[-1] == these[-1].place[-1]]
        losses = ", ".join(f"{row.strategy} {percent(-fmean(row.decreases))}" for row in last)
        sentences.append(f"{place[2]} at {last[0].place[-1]} ({place[0]}, {place[1]}): {losses}.")
        sentences += [_verdict(row, last[0]) for row in last if row.p is not None and row.p < LEVEL]
    if not any(row.p is not None and row.p < LEVEL for row in rows):
        sentences.append("No strategy's decrease differs significantly from the first strategy's.")
    if rows and (few := min(len(row.decreases) for row in rows)) < ENOUGH:
        sentences.append(f"Some rows have {few} runs; fewer than {ENOUGH} are not a result.")
    return tuple(sentences)


def _rows(
    place: tuple[str, str, str, str], by_strategy: Mapping[str, Mapping[Label, tuple[float, float]]]
) -> list[Decrease]:
    first = next(iter(by_strategy))
    rows = []
    for strategy, by_seed in by_strategy.items():
        original, disturbed = zip(*by_seed.values(), strict=True)
        own, others = (
            {seed: relative_decrease(*pair) for seed, pair in some.items()} for some in (by_seed, by_strategy[first])
        )
        shared = [seed for seed in own if seed in others] if strategy != first else []
        p = compare([own[seed] for seed in shared], [others[seed] for seed in shared]).t_p if shared else None
        rows.append(Decrease(place, strategy, original, disturbed, tuple(own.values()), p))
    return rows


def _reported(row: Decrease, names: Mapping[str, str], metric: str) -> float | None:
    data, model, kind, level = row.place
    found = reported(names[data], model, row.strategy, metric, condition=f"{kind} {level}")
    return found.value if found else None


def _cells(row: Decrease) -> tuple[Value, ...]:
    means = (fmean(row.original), fmean(row.disturbed), *spread(row.decreases))
    return (*row.place, row.strategy, len(row.decreases), *means, row.p, row.reported)


def _line(name: str, rows: Sequence[Decrease]) -> Line:
    shares = [[100 * one for one in row.decreases] for row in rows]
    ends = (tuple(map(min, shares)), tuple(map(max, shares)))
    return Line(name, tuple(float(row.place[-1]) for row in rows), tuple(map(fmean, shares)), *ends)


def _verdict(row: Decrease, first: Decrease) -> str:
    less = fmean(row.decreases) < fmean(first.decreases)
    return f"{row.strategy} loses {'less' if less else 'more'} than {first.strategy} there ({p_value(row.p or 0)})."
