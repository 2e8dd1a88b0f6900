"""The best value of each group of rows of a table, which is printed in bold."""

from __future__ import annotations

import re
from typing import Literal

from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.reporting.study_result import Column, Table, Value

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?(?=\s|$)", re.IGNORECASE)  # at the beginning of a text


def best_of(metric: str) -> Literal["highest", "lowest"]:
    """Return which value of a metric is the best."""
    return "highest" if higher_is_better(metric) else "lowest"


def best_cells(table: Table) -> frozenset[tuple[int, int]]:
    """Return row and column of each cell that holds the best value of its group, as far as the table compares rows.

    A group is the rows that agree in all columns before the one that the table compares, such as data set and model
    before the strategy. Values that are equal as printed are equally good. A group of one row has no best value, and
    neither has one whose values are all equal.
    """
    names = [column.name for column in table.columns]
    if table.compares not in names:
        return frozenset()
    groups: dict[tuple[Value, ...], list[int]] = {}
    for number, row in enumerate(table.rows):
        groups.setdefault(row[: names.index(table.compares)], []).append(number)
    directed = [(place, column) for place, column in enumerate(table.columns) if column.best]
    return frozenset(
        (number, place)
        for rows in groups.values()
        for place, column in directed
        for number in _best(table, rows, place, column)
    )


def _best(table: Table, rows: list[int], place: int, column: Column) -> list[int]:
    values = {number: value for number in rows if (value := _printed(table.rows[number][place], column)) is not None}
    if len(set(values.values())) < 2:
        return []
    best = (max if column.best == "highest" else min)(values.values())
    return [number for number, value in values.items() if value == best]


def _printed(value: Value, column: Column) -> float | None:
    """Return a value with the digits that it is printed with; that of a text is the number that it begins with."""
    if isinstance(value, str):
        number = NUMBER.match(value)
        return float(number.group()) if number else None
    return None if value is None else round(value, 3 if column.kind == "percent" else column.digits)
