"""Columns of Python objects, such as those of pandas: as typed columns, or described in plain words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
import polars as pl
from numpy import ndarray

_LIST = "a list"
# In this order: a truth value is a whole number too, and a date with time is a date.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((str, os.PathLike), "text"),
    ((bool, np.bool_), "a truth value"),
    (Integral, "a whole number"),
    ((Real, Decimal), "a number with a decimal point"),
    (datetime, "a date and time"),
    (date, "a date"),
    (time, "a time of day"),
    (timedelta, "a duration"),
    ((list, tuple, ndarray), _LIST),
)


def object_series(name: str, values: Sequence[object]) -> pl.Series:
    """Return Python objects as a typed column, if all are of one kind; None is a missing value.

    Paths become text. Values of several kinds, or of a kind that is no cell of a table, stay objects, which
    :func:`describe_objects` describes.
    """
    kinds = {kind: _kind(kind) for kind in set(map(type, values)) - {type(None)}}
    distinct = set(kinds.values())
    if distinct == {"text"}:
        if kinds.keys() != {str}:
            values = [value if value is None else _as_text(value) for value in values]
        return pl.Series(name, values, dtype=pl.String)
    try:
        if distinct == {_LIST}:
            return _lists(name, values)
        if len(distinct) == 1 and distinct <= {word for _, word in _KINDS}:
            return pl.Series(name, [value.item() if isinstance(value, np.generic) else value for value in values])
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        pass
    return pl.Series(name, list(values), dtype=pl.Object if distinct else pl.String)


def describe_objects(column: pl.Series) -> str:
    """Return what a column of objects holds, and the row, counted from 0, of the first that differs from the first."""
    values = [(row, _kind(type(value))) for row, value in enumerate(column.to_list()) if value is not None]
    row, kind = values[0]
    other = next(((row, word) for row, word in values if word != kind), None)
    if other is None:
        return f"Python objects ({kind} in row {row}, counted from 0)"
    return f"mixed values ({kind} in row {row}, but {other[1]} in row {other[0]}, counted from 0)"


def _lists(name: str, values: Sequence[object]) -> pl.Series:
    """Return lists or arrays as a column, without a Python object per number where all are equally long."""
    rows = [np.asarray(value) for value in values if value is not None]
    one_shape = len({row.shape for row in rows}) == 1 and all(row.dtype.kind in "fiu" for row in rows)
    column = pl.Series(name, np.stack(rows) if one_shape else [row.tolist() for row in rows])
    present = np.array([value is not None for value in values])
    if present.all():
        return column
    indices = pl.Series(np.cumsum(present) - 1).set(pl.Series(~present), None)
    return column.gather(indices)


def _kind(kind: type) -> str:
    return next((word for known, word in _KINDS if issubclass(kind, known)), f"an object of type {kind.__name__}")


def _as_text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
