"""The tables of a cell: its finals, their robustness and cost, and what they reach at an equal budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flatrec.research.league.cost import Cost, budget_in, cost_of, pareto, within_budget
from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import League
from flatrec.research.league.values import Spread, values_of
from flatrec.research.reporting.best import best_of
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.study_result import Column, Table, Value

METHOD = Column("method")
COUNT = Column("n", "number", 0)


def finals_table(league: League, runs: Sequence[MethodRuns], metrics: Sequence[str]) -> Table:
    """Make the table of what the finals of a cell score on the test split.

    Args:
        league: the league.
        runs: the methods of the cell.
        metrics: metrics in the order of columns; differences from the first method are in the first of them.
    """
    first = values_of(runs[0], metrics[0]).spread.mean
    columns = [METHOD, COUNT]
    rows: list[list[Value]] = [[one.method, len(one.scored)] for one in runs]
    for place, metric in enumerate(metrics):
        columns += [Column(metric_name(metric), "number", best=best_of(metric)), Column("deviation", "number")]
        for row, one in zip(rows, runs, strict=True):
            row += values_of(one, metric).spread.cells()
        if place == 0:
            columns.append(Column(f"against {runs[0].method}", "percent"))
            for row, one in zip(rows, runs, strict=True):
                row.append(_relative(values_of(one, metric).spread.mean, first) if one is not runs[0] else None)
    n_seeds = len(league.rules.final_seeds)
    note = f"Test split, mean and standard deviation over {n_seeds} fresh seeds, of which n have scores."
    return _table("finals", "Finals on the test split", columns, rows, note=note)


def robustness_table(league: League, runs: Sequence[MethodRuns], metric: str) -> Table | None:
    """Make the table of what is left under each disturbance; None if none was measured."""
    levels = [level for level in league.rules.levels if any(values_of(one, metric, level).by_seed for one in runs)]
    if not levels:
        return None
    columns = [METHOD, COUNT]
    rows: list[list[Value]] = [[one.method, len(one.scored)] for one in runs]
    for level in levels:
        columns += [Column(level, "number", 1, best=best_of(metric)), Column("deviation", "number", 1)]
        for row, one in zip(rows, runs, strict=True):
            row += values_of(one, metric, level).spread.cells(100.0)
    draws = league.rules.draws
    note = (
        f"{metric_name(metric)} of the test split under the disturbance, in % of that without it; mean and standard "
        f"deviation over seeds, each the mean of {draws} draw{'s' if draws > 1 else ''}."
    )
    if absent := [level for level in league.rules.levels if level not in levels]:
        note += f" No final here has scores under {', '.join(absent)}."
    return _table("robustness", "Robustness: what is left under disturbances, %", columns, rows, note=note)


def cost_table(runs: Sequence[MethodRuns], metric: str) -> Table:
    """Make the table of the cost of finals, and relative to the first method."""
    first = runs[0].method
    columns = [
        METHOD,
        COUNT,
        Column("epochs", "number", 1),
        Column("gradients", "number", 0),
        Column(f"× {first}", "number", 2),
        Column("seconds", "number", 1),
        Column(f"× {first}", "number", 2),
        Column("seconds per epoch", "number", 3),
        Column(f"× {first}", "number", 2),
        Column("seconds of all trials", "number", 0),
        Column("not dominated"),
    ]
    undominated = {point.method for point in pareto(runs, metric) if not point.is_dominated}
    of_first = cost_of(runs[0])
    rows = [[*_cost_row(one, cost_of(one), of_first), "yes" if one.method in undominated else ""] for one in runs]
    note = (
        "Means over finals. Gradients are of batches, as many as were computed until training stopped. Seconds are "
        "those of an epoch without evaluations, by the clock, the median over trials and finals, times the epochs; "
        "they vary with what else the machine does. Not dominated: no other method is at least as good on the test "
        "split in at most as many seconds."
    )
    return _table("cost", "What a final costs", columns, rows, note=note)


def budget_table(league: League, runs: Mapping[tuple[str, str], MethodRuns], cell: str, monitor: str) -> Table | None:
    """Make the table of what finals reach on validation with equally many gradients; None while these are unknown."""
    budget = budget_in(league, runs, cell)
    if budget is None:
        return None
    of_cell = [runs[cell, method.name] for method in league.methods]
    first = Spread.of(list(within_budget(of_cell[0], budget).values())).mean
    columns = [METHOD, COUNT, Column("best validation", "number", best=best_of(monitor)), Column("deviation", "number")]
    columns += [Column(f"against {of_cell[0].method}", "percent"), Column("gradients of the whole run", "number", 0)]
    rows: list[list[Value]] = []
    for one in of_cell:
        reached, cost = Spread.of(list(within_budget(one, budget).values())), cost_of(one)
        against = _relative(reached.mean, first) if one is not of_cell[0] else None
        rows.append([one.method, reached.n, *reached.cells(), against, cost.gradients if cost else None])
    whose = "of the rules" if league.rules.budget else f"of the longest final of {_budget_of(league)}"
    note = (
        f"The best {metric_name(monitor)} on validation, not on the test split, that each final had reached within "
        f"{budget:,.0f} gradients, those {whose}. A run that ended earlier counts with what it had reached."
    )
    return _table("budget", "At an equal budget of gradients (validation)", columns, rows, note=note)


def _cost_row(one: MethodRuns, cost: Cost | None, first: Cost | None) -> list[Value]:
    if cost is None:
        return [one.method, 0, *[None] * 8]
    return [
        one.method,
        len(one.scored),
        cost.epochs,
        cost.gradients,
        _times(cost.gradients, first.gradients if first else None),
        cost.seconds,
        _times(cost.seconds, first.seconds if first else None),
        cost.seconds_per_epoch,
        _times(cost.seconds_per_epoch, first.seconds_per_epoch if first else None),
        cost.tuning_seconds,
    ]


def _times(amount: float, first: float | None) -> float | None:
    return amount / first if first else None


def _relative(mean: float | None, first: float | None) -> float | None:
    return None if mean is None or not first else (mean - first) / abs(first)


def _budget_of(league: League) -> str:
    return league.rules.budget_of or league.methods[0].name


def _table(name: str, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]], *, note: str) -> Table:
    return Table(name, title, tuple(columns), tuple(map(tuple, rows)), note, compares=METHOD.name)
