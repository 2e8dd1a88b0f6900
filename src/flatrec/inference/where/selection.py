"""Conditions on the columns of a frame, such as ``price < 30 and category in ["mugs", "lamps"]``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from jaxtyping import Bool
from numpy import ndarray

from flatrec.inference.where.column_types import ColumnType
from flatrec.inference.where.columns import Column
from flatrec.inference.where.parser import parse
from flatrec.inference.where.refusal import refusal
from flatrec.inference.where.tree import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Containment,
    Membership,
    Missing,
    Name,
    Not,
    names,
)
from flatrec.utils.messages import clipped, quoted


def select(expression: str, frame: pl.DataFrame) -> Bool[ndarray, "n_rows"]:
    """Return which rows of a frame fulfil a condition.

    A missing value passes no comparison, neither the comparison nor its opposite, so that ``price < 30`` and
    ``not price < 30`` both leave out a row without a price; ``price is missing`` finds it. NaN counts as missing.
    The condition may come from anybody: it runs no code, and its length and depth are bounded.

    Args:
        expression: the condition; ``docs/filters.md`` has its grammar.
        frame: the columns that it may name.

    Raises:
        ValueError: the condition cannot be read, names an unknown column, or does not fit the type of a column. The
            message is one line with the position of the fault, counted from 1.

    Example:
        >>> frame = pl.DataFrame({"price": [12.0, 45.0, None], "category": ["mugs", "lamps", "mugs"]})
        >>> select('price < 30 or category = "lamps"', frame).tolist()
        [True, True, False]
    """
    condition = parse(expression)
    columns = _columns(names(condition), frame)
    read = pl.DataFrame([frame.get_column(name).alias(f"{index}") for index, name in enumerate(columns)])
    return read.select(_compiled(condition, columns).fill_null(value=False)).to_series().to_numpy()


def columns_of(expression: str) -> tuple[str, ...]:
    """Return the names of the columns that a condition reads, each once, in the order of the text.

    Raises:
        ValueError: the condition cannot be read.

    Example:
        >>> columns_of("price < 30 and (in_stock = true or price is missing)")
        ('price', 'in_stock')
    """
    return tuple(dict.fromkeys(name.text for name in names(parse(expression))))


def _columns(read: list[Name], frame: pl.DataFrame) -> dict[str, Column]:
    # Columns are renamed to plain indices: polars would take names such as ^.*$ and * for patterns.
    columns: dict[str, Column] = {}
    for name in read:
        if name.text not in frame.columns:
            raise refusal(name.position, _unknown(name.text, frame.columns))
        columns.setdefault(name.text, Column(name, pl.col(f"{len(columns)}"), frame.schema[name.text]))
    return columns


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {clipped(near[0], 60)!r}? There are" if near else "there are"
    return f"unknown column {clipped(name, 60)!r}; {hint} {quoted(known)}"


def _compiled(condition: Condition, columns: Mapping[str, Column]) -> pl.Expr:
    match condition:
        case All(conditions):
            return pl.all_horizontal([_compiled(one, columns) for one in conditions])
        case AnyOf(conditions):
            return pl.any_horizontal([_compiled(one, columns) for one in conditions])
        case Not(negated):
            return ~_compiled(negated, columns)
    column = replace(columns[condition.column.text], name=condition.column)
    match condition:
        case Missing():
            return column.is_missing()
        case Membership(values=values):
            return column.compared().one_of(values)
        case Containment(value=value):
            return column.contains(value)
        case Comparison():
            return _comparison(condition, column.compared())


def _comparison(condition: Comparison, column: ColumnType) -> pl.Expr:
    value = condition.value
    match condition.operator:
        case "=":
            return column.one_of([value])
        case "!=":
            return ~column.one_of([value])
        case "<":
            return column.below(value)
        case "<=":
            return column.at_most(value)
        case ">":
            return ~column.at_most(value)
        case ">=":
            return ~column.below(value)
