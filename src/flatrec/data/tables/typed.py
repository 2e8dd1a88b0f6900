"""Columns that describe items, as numbers, truth values, dates or texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import polars as pl
import polars.selectors as cs

from flatrec.data.tables.columns import describe_dtype
from flatrec.data.tables.files import TableRows
from flatrec.data.tables.numbers import parse_numbers
from flatrec.data.tables.times import parse_iso
from flatrec.utils.messages import clipped

WHOLE = r"^[+-]?(0|[1-9][0-9]{0,17})$"
LEADING_ZERO = r"^[+-]?0[0-9]"
TRIED = 8
TRUTH = {"true": True, "false": False}


def typed_columns(rows: TableRows, names: Sequence[str]) -> pl.DataFrame:
    """Return columns by their names, those of a text table as what all their cells are.

    That is whole numbers, numbers, truth values (``true`` and ``false``), ISO dates, dates and times (in UTC), else
    texts. Numbers with leading zeros are texts. Empty cells are null.

    Raises:
        ValueError: a column of a Parquet table holds lists, bytes or the like.
    """
    return pl.DataFrame([_typed(rows, name).alias(name) for name in names])


def plain_columns(frame: pl.LazyFrame) -> list[str]:
    """Return the names of the columns whose type a column of items may have."""
    kinds = cs.string(include_categorical=True) | cs.boolean() | cs.numeric() | cs.date() | cs.datetime()
    return frame.select(kinds | cs.by_dtype(pl.Enum, pl.Null)).collect_schema().names()


def _typed(rows: TableRows, name: str) -> pl.Series:
    column = rows[name]
    kind = column.dtype
    if not plain_columns(column.to_frame().lazy()):
        raise ValueError(
            f"{rows.path} has column {clipped(column.name)!r} of {describe_dtype(column)}; columns of items are "
            "numbers, texts, dates or true and false"
        )
    if kind in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if kind.is_decimal():
        return column.cast(pl.Float64)
    return column if kind != pl.String or rows.table.text is None else typed_text(column, rows.decimal)


def typed_text(column: pl.Series, decimal: str) -> pl.Series:
    """Return the first kind that all cells are; the first cells decide which kinds are tried."""
    stripped = column.str.strip_chars()
    cells = stripped.to_frame("cell").select(pl.when(pl.col("cell") != "").then("cell"))["cell"]
    first = cells.drop_nulls().head(TRIED)
    if first.is_empty():
        return cells
    for read in (_truth_values, _whole_numbers, partial(_numbers, decimal=decimal), _moments):
        if read(first) is not None and (values := read(cells)) is not None:
            return values
    return cells


def _truth_values(cells: pl.Series) -> pl.Series | None:
    lower = cells.str.to_lowercase()
    if not lower.is_in(list(TRUTH)).fill_null(True).all():
        return None
    return lower.replace_strict(TRUTH, return_dtype=pl.Boolean)


def _whole_numbers(cells: pl.Series) -> pl.Series | None:
    return cells.cast(pl.Int64) if cells.str.contains(WHOLE).fill_null(True).all() else None


def _numbers(cells: pl.Series, decimal: str) -> pl.Series | None:
    if cells.str.contains(LEADING_ZERO).any():
        return None
    numbers = parse_numbers(cells, decimal)
    return numbers if numbers.is_finite().fill_null(False).eq(cells.is_not_null()).all() else None


def _moments(cells: pl.Series) -> pl.Series | None:
    """Return dates, or dates and times in UTC."""
    seconds, dates = parse_iso(cells)
    if seconds.null_count() != cells.null_count():
        return None
    moments = (seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return moments.dt.date() if dates else moments
