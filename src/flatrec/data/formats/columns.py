"""Columns of tables as ids, names, numbers and parts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from numpy import ndarray

from flatrec.data.id_repair import unpointed
from flatrec.data.interactions import SPLITS
from flatrec.utils.messages import clipped

EXACT = {"Float32": 2.0**24, "Float64": 2.0**53}  # below these a float is one whole number only
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


def missing_ids(ids: pl.Series) -> ndarray:
    """Which ids are not given."""
    return (ids.is_null() | (ids == "").fill_null(False)).to_numpy()


def as_text(column: pl.Series, path: Path) -> pl.Series:
    """A column of ids or names as text.

    Raises:
        ValueError: the column holds anything but text or whole numbers.
    """
    kind = column.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} of {in_words(column)}; ids and names must be text or whole "
            "numbers"
        )
    return column.cast(pl.String)


def as_ids(column: pl.Series, path: Path) -> pl.Series:
    """The same for ids, of which whole numbers may be kept with a decimal point, and missing ones as NaN.

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
            f"{path} has column {clipped(column.name)!r} of {in_words(column)} too large to be exact; "
            "write ids as text or whole numbers"
        )
    return numbers.cast(pl.Int64).cast(pl.String)


def in_words(column: pl.Series) -> str:
    """What a column holds, in words of ours."""
    kind = column.dtype
    if kind.is_integer():
        return "whole numbers"
    if kind.is_numeric():
        return "numbers with a decimal point"
    return _WORDS.get(kind.base_type(), "values of another kind")


def as_parts(column: pl.Series, path: Path) -> pl.Series:
    """A column of parts, ``train``/``valid``/``test`` or 0/1/2, as numbers.

    Raises:
        ValueError: any other value, or none.
    """
    known: dict[str, int] = {name: number for number, name in enumerate(SPLITS)}
    known |= {str(number): number for number in known.values()}
    known |= {"validation": known["valid"], "val": known["valid"]}
    text = as_text(column, path).str.strip_chars().str.to_lowercase()
    bad = column.filter(~text.is_in(list(known)).fill_null(False))
    if len(bad):
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} with {len(bad)} of {len(column)} values that are no part, "
            f"e.g. {_example(bad)}; use train, valid, test or 0, 1, 2"
        )
    return text.replace_strict(known, return_dtype=pl.Int8)


def as_numbers(column: pl.Series, path: Path) -> pl.Series:
    """A column of numbers from 0, as 64-bit whole numbers.

    Raises:
        ValueError: a value is missing, negative or not a whole number.
    """
    plain = column.dtype.is_integer() or column.dtype == pl.String
    numbers = column.cast(pl.Int64, strict=False) if plain else as_ids(column, path).cast(pl.Int64, strict=False)
    if numbers.null_count() and column.dtype == pl.String:
        numbers = unpointed(column.str.strip_chars()).cast(pl.Int64, strict=False)
    bad = column.filter((numbers.is_null()) | (numbers < 0))
    if len(bad):
        raise ValueError(
            f"{path} has column {clipped(column.name)!r} with {len(bad)} of {len(column)} values that are not whole "
            f"numbers from 0, e.g. {_example(bad)}; number users and items from 0, or read it as a plain table"
        )
    return numbers


def _example(values: pl.Series) -> str:
    return repr(clipped(values[0]) if isinstance(values[0], str) else values[0])


def dictionary(keys: pl.Series, values: pl.Series, path: Path) -> dict[str, str]:
    """Values by key, without the rows where either is missing.

    Raises:
        ValueError: a key repeats.
    """
    given = keys.is_not_null() & values.is_not_null()
    pairs = dict(zip(keys.filter(given).to_list(), values.filter(given).to_list(), strict=True))
    if len(pairs) != given.sum():
        raise ValueError(f"{path} has {given.sum() - len(pairs)} rows whose id repeats; keep one row an id")
    return pairs
