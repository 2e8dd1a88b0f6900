"""Columns of a pandas frame, read by its own methods: neither pandas nor pyarrow is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import polars as pl
from numpy import ndarray

from flatrec.data.tables.objects import object_series
from flatrec.utils.messages import clipped

if TYPE_CHECKING:
    import pandas

# The type to which columns with a mask of missing values are converted, and what stands for these until they are set.
MASKED = {"b": (np.bool_, False), "i": (np.int64, 0), "u": (np.uint64, 0), "f": (np.float64, np.nan)}


class PandasColumns:
    """Reads columns of a pandas frame; a text that is missing, NaN, NA and NaT are missing values.

    Args:
        frame: the frame; names of columns that are no text, such as numbers, are known by their text.
    """

    def __init__(self, frame: pandas.DataFrame) -> None:
        self._frame = frame
        self._places = {str(name): place for place, name in enumerate(frame.columns)}

    @staticmethod
    def matches(frame: object) -> TypeGuard[pandas.DataFrame]:
        """Return True for a pandas frame."""
        pandas = sys.modules.get("pandas")
        return pandas is not None and isinstance(frame, pandas.DataFrame)

    def names(self, path: Path) -> list[str]:
        """Return the names of the columns; of two that are equal, both.

        Raises:
            ValueError: the names have several levels.
        """
        columns = self._frame.columns
        if columns.nlevels > 1:
            raise ValueError(
                f"{path} has columns of {columns.nlevels} levels, such as {clipped(repr(columns[0]))}; give each "
                "column one name"
            )
        return list(map(str, columns))

    @property
    def index(self) -> str:
        """What the index holds, such as ``named 'user_id'``; empty if it only numbers the rows."""
        index = self._frame.index
        names = [str(name) for name in index.names if name is not None]
        if names:
            return f"named {clipped(', '.join(names))!r}"
        numbers_rows = index.dtype.kind in "iu" and (index == np.arange(len(index))).all()
        return "" if numbers_rows or not len(index) else f"with values such as {clipped(str(index[0]))!r}"

    def select(self, columns: Sequence[str], /) -> pl.LazyFrame:
        """Return some columns."""
        return pl.LazyFrame([_series(name, self._frame.iloc[:, self._places[name]]) for name in columns])


def _series(name: str, column: pandas.Series[object]) -> pl.Series:
    """Return a column of pandas as one of polars."""
    kind, dtype = column.dtype.kind, str(column.dtype)
    missing: ndarray = column.isna().to_numpy()
    if dtype == "category":
        categories = _series(name, column.cat.categories.to_series())
        return categories.gather(_with_missing(pl.Series(column.cat.codes.to_numpy()), missing))
    if dtype.startswith(("datetime64", "timestamp")):
        return _times(name, column)
    if kind in MASKED:
        if isinstance(column.dtype, np.dtype):
            return pl.Series(name, column.to_numpy())
        wide, filler = MASKED[kind]
        return _with_missing(pl.Series(name, column.array.to_numpy(dtype=wide, na_value=filler)), missing)
    values: ndarray = column.to_numpy(dtype=object)
    if missing.any():
        values = values.copy()
        values[missing] = None
    return object_series(name, values.tolist())


def _times(name: str, column: pandas.Series[object]) -> pl.Series:
    """Return dates and times; those with a time zone in UTC."""
    zoned = column.dt.tz is not None
    naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else column
    values: ndarray = naive.to_numpy(dtype="datetime64[ns]" if "ns" in str(column.dtype) else "datetime64[us]")
    times = pl.Series(name, values)
    return times.dt.replace_time_zone("UTC") if zoned else times


def _with_missing(column: pl.Series, missing: ndarray) -> pl.Series:
    return column.set(pl.Series(missing), None) if missing.any() else column
