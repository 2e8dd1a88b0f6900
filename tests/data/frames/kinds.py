"""The same rows as frames of every kind; pandas and pyarrow are imported only where they are installed."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest


@dataclass(frozen=True)
class Stream:
    """A foreign frame that has nothing but Arrow's interface."""

    frame: pl.DataFrame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


def to_pandas(frame: pl.DataFrame):
    """A frame of pandas, made without pyarrow."""
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({column.name: column.to_list() for column in frame})


def to_pandas_categories(frame: pl.DataFrame):
    return to_pandas(frame).astype("category")


def to_pyarrow(frame: pl.DataFrame):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table(frame.to_dict(as_series=False))


def to_dictionaries(frame: pl.DataFrame):
    """A table of pyarrow whose columns are encoded by dictionaries."""
    table = to_pyarrow(frame)
    return type(table).from_arrays([column.dictionary_encode() for column in table.columns], names=table.column_names)


KINDS = {
    "polars": lambda frame: frame,
    "polars lazy": lambda frame: frame.lazy(),
    "arrow stream": Stream,
    "pandas": to_pandas,
    "pandas categories": to_pandas_categories,
    "pyarrow": to_pyarrow,
    "pyarrow dictionaries": to_dictionaries,
}
