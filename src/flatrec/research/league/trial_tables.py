"""The tables of how finalists were chosen: trials, winners, and the spaces that they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import League, n_points
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.study_result import Column, Table, Value
from flatrec.research.sweeps.space import Choices, Range, Space

METHOD = Column("method")


def chosen_table(runs: Sequence[MethodRuns]) -> Table:
    """Make the table of the trials of a cell and the points that they chose."""
    columns = (
        METHOD,
        Column("trials", "number", 0),
        Column("of", "number", 0),
        Column("diverged", "number", 0),
        Column("points of the space", "number", 0),
        Column("winner", "number", 0),
        Column("validation", "number"),
        Column("chosen settings"),
    )
    note = "Winner: number of the trial, from 0, with the best validation score; its settings are those of the finals."
    return Table("chosen", "What the trials chose", columns, tuple(map(_chosen_row, runs)), note)


def trials_table(runs: Sequence[MethodRuns], monitor: str) -> Table:
    """Make the table of the validation score of each trial."""
    n_trials = max(one.n_trials for one in runs)
    columns = [METHOD, *(Column(str(number), "number") for number in range(n_trials)), Column("best", "number")]
    rows: list[list[Value]] = []
    for one in runs:
        by_number = {record.number: record for record in one.trials}
        cells: list[Value] = [one.method]
        for number in range(n_trials):
            record = by_number.get(number)
            cells.append(None if record is None else "diverged" if record.score is None else record.score)
        rows.append([*cells, one.winner.score if one.winner else None])
    note = f"{metric_name(monitor)} on validation of each trial, by its number. Trials never see the test split."
    return Table("trials-details", "Validation score of each trial", tuple(columns), tuple(map(tuple, rows)), note)


def space_table(league: League, runs: Sequence[MethodRuns]) -> Table:
    """Make the table of the methods: what they state, and what their trials choose from.

    Args:
        league: the league.
        runs: the methods of all cells; those that are alike in two cells of a model are one row.
    """
    columns = (
        METHOD,
        Column("model"),
        Column("trials", "number", 0),
        Column("points", "number", 0),
        Column("trials choose from"),
        Column("stated"),
        Column("why the space lacks something"),
    )
    rows: dict[tuple[Value, ...], None] = {}
    for one in runs:
        method = league.method(one.method)
        stated, space = point_text(method.plan_for(one.model).settings), space_text(one.space)
        rows[one.method, one.model, one.n_trials, _points(one.space), space, stated, method.reason] = None
    note = "Points: number of different settings in the space; a dash where a setting is a range."
    return Table("spaces", "Methods and their spaces", columns, tuple(rows), note)


def space_text(space: Space) -> str:
    """Write a space as ``optimizer.lr: 0.001, 0.003; …``."""
    return "; ".join(f"{name}: {_dimension(dimension)}" for name, dimension in space.items()) or "nothing"


def point_text(point: Mapping[str, object]) -> str:
    """Write settings as ``optimizer.lr = 0.003, …``."""
    return ", ".join(f"{name} = {_number(value)}" for name, value in point.items()) or "none"


def _chosen_row(one: MethodRuns) -> tuple[Value, ...]:
    winner = one.winner
    return (
        one.method,
        len(one.trials),
        one.n_trials,
        sum(record.score is None for record in one.trials),
        _points(one.space),
        winner.number if winner else None,
        winner.score if winner else None,
        point_text(winner.point) if winner else "; ".join(one.gaps),
    )


def _points(space: Space) -> int | None:
    count = n_points(space)
    return None if math.isinf(count) else int(count)


def _dimension(dimension: Choices | Range) -> str:
    if isinstance(dimension, Choices):
        return ", ".join(map(_number, dimension.values))
    return f"{dimension.low:g} to {dimension.high:g}{', logarithmic' if dimension.log else ''}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
