"""Columns of numbers, whose texts may have a decimal comma."""

from __future__ import annotations

from typing import Literal

import polars as pl

from flatrec.data.tables.columns import describe_dtype
from flatrec.data.tables.files import TableRows
from flatrec.data.tables.refusal import refuse
from flatrec.utils.messages import clipped

# A number with a decimal comma; dots may stand between groups of three digits.
GERMAN = r"^[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]+)?$"
ADVICE = 'write it as a number; for numbers such as 1.234,50 set decimal = "," in dataset.toml'
Bits = Literal[32, 64]


def parse_numbers(texts: pl.Series, decimal: str, bits: Bits = 64) -> pl.Series:
    """Return texts as numbers, and null for what is none, or empty.

    With a decimal comma, ``1.234,5`` and ``1234,5`` are the same number, and ``1.5`` is none.
    """
    texts = texts.str.strip_chars()
    if decimal == ",":
        german = texts.str.contains(GERMAN)
        plain = texts.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        texts = plain.to_frame("text").select(pl.when(german).then("text"))["text"]
    return texts.cast(pl.Float32 if bits == 32 else pl.Float64, strict=False)


def as_numbers(rows: TableRows, name: str, bits: Bits = 64) -> pl.Series:
    """Return a column as numbers; an empty cell and NaN become null.

    Raises:
        ValueError: a value is no number, or not finite.
    """
    column = rows[name]
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        numbers = parse_numbers(column, rows.decimal, bits)
        empty = column.is_null() | (column.str.strip_chars() == "").fill_null(False)
        bad = numbers.is_null() & ~empty
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        numbers = column.cast(pl.Float32 if bits == 32 else pl.Float64, strict=False).fill_nan(None)
        bad = pl.Series([False]).new_from_index(0, len(column))
    else:
        raise ValueError(
            f"{rows.path} has column {clipped(column.name)!r} of {describe_dtype(column)}; expected numbers"
        )
    refuse(rows, name, bad | numbers.is_infinite().fill_null(False), what="are no numbers", advice=ADVICE)
    return numbers.fill_nan(None)


def as_weights(rows: TableRows, name: str, bits: Bits = 64, unused: pl.Series | None = None) -> pl.Series:
    """Return a column of weights.

    Args:
        rows: the rows of the table.
        name: the new name of the column.
        bits: the precision.
        unused: True for each row whose weight is not used: it becomes 1, whatever the file has.

    Raises:
        ValueError: a weight is missing, not a number, or not above 0.
    """
    weights = as_numbers(rows, name, bits)
    if unused is not None:
        weights = weights.zip_with(~unused, pl.Series([1.0], dtype=weights.dtype).new_from_index(0, len(weights)))
    bad = (weights > 0).fill_null(False).not_()
    refuse(rows, name, bad, what="are not above 0", advice="give every interaction a weight above 0")
    return weights
