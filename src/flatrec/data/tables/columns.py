"""Columns of tables as ids, names, indices and splits."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from numpy import ndarray

from flatrec.data.id_repair import strip_decimal_zeros
from flatrec.data.tables.objects import describe_objects
from flatrec.utils.messages import clipped

EXACT = {"Float32": 2.0**24, "Float64": 2.0**53}  # below this bound, every whole number has its own float
_WORDS: dict[object, str] = {
    pl.Array: "lists",
    pl.Binary: "bytes",
    pl.Boolean: "truth values",
    pl.Categorical: "text",
    pl.Date: "dates",
    pl.Datetime: "dates and times",
    pl.Duration: "durations",
    pl.Enum: "text",
    pl.List: "lists",
    pl.Null: "nothing",
    pl.String: "text",
    pl.Struct: "groups of named values",
    pl.Time: "times of day",
}


def is_missing(ids: pl.Series) -> ndarray:
    """Return True for each id that is missing."""
    return (ids.is_null() | (ids == "").fill_null(False)).to_numpy()


def as_text(column: pl.Series, path: Path) -> pl.Series:
    """Return a column of ids or names as text.

    Raises:
        ValueError: the column holds anything but text or whole numbers.
    """
    kind = column.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} of {describe_dtype(column)}; "
            "ids and names must be text or whole numbers"
        )
    return column.cast(pl.String)


def as_ids(column: pl.Series, path: Path) -> pl.Series:
    """Return a column of ids as text; it may hold whole numbers as floats or decimals, and NaN for a missing id.

    Raises:
        ValueError: the column holds anything but text or whole numbers, or floats too large to be exact.
    """
    kind = column.dtype
    if kind.is_decimal() and ((column % 1) == 0).fill_null(True).all():
        return column.cast(pl.String)
    exact = EXACT.get(str(kind))
    if exact is None:
        return as_text(column, path)
    numbers = column.fill_nan(None)
    if not ((numbers % 1) == 0).fill_null(True).all():
        return as_text(column, path)
    if (numbers.abs() >= exact).any():
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} of {describe_dtype(column)} too large to be exact; "
            "write ids as text or whole numbers"
        )
    return numbers.cast(pl.Int64).cast(pl.String)


def describe_dtype(column: pl.Series) -> str:
    """Return what a column holds, in plain words."""
    kind = column.dtype
    if kind.is_integer():
        return "whole numbers"
    if kind.is_numeric():
        return "numbers with a decimal point"
    if kind == pl.Object:
        return describe_objects(column)
    return _WORDS.get(kind.base_type(), "values of another kind")


def as_indices(column: pl.Series, path: Path) -> pl.Series:
    """Return a column of indices, whole numbers from 0, as 64-bit integers.

    Raises:
        ValueError: a value is missing, negative or not a whole number.
    """
    plain = column.dtype.is_integer() or column.dtype == pl.String
    numbers = column.cast(pl.Int64, strict=False) if plain else as_ids(column, path).cast(pl.Int64, strict=False)
    if numbers.null_count() and column.dtype == pl.String:
        numbers = strip_decimal_zeros(column.str.strip_chars()).cast(pl.Int64, strict=False)
    bad = column.filter((numbers.is_null()) | (numbers < 0))
    if len(bad):
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} with {len(bad)} of {len(column)} values that are not whole "
            f"numbers from 0, e.g. {_example(bad)}; index users and items from 0, or read it as a plain table"
        )
    return numbers


def _example(values: pl.Series) -> str:
    return repr(clipped(values[0]) if isinstance(values[0], str) else values[0])


def to_dict(keys: pl.Series, values: pl.Series, path: Path) -> dict[str, str]:
    """Return values by key, without the rows in which either is missing.

    Raises:
        ValueError: a key repeats.
    """
    present = keys.is_not_null() & values.is_not_null()
    value_of = dict(zip(keys.filter(present).to_list(), values.filter(present).to_list(), strict=True))
    if len(value_of) != present.sum():
        raise ValueError(f"{path} has {present.sum() - len(value_of)} rows whose id repeats; keep one row per id")
    return value_of
