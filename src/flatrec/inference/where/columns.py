"""The columns that a condition reads, by their types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from flatrec.inference.where.column_types import (
    Categories,
    ColumnType,
    DataType,
    Exact,
    Floats,
    Nothing,
    Texts,
    TruthValues,
)
from flatrec.inference.where.readers import Readers
from flatrec.inference.where.refusal import refusal
from flatrec.inference.where.tree import Name, Value
from flatrec.utils.messages import clipped

UNITS = {"ms": 10**3, "us": 10**6, "ns": 10**9}  # of a column of times, in a second
DAY = 86_400


@dataclass(frozen=True)
class Column:
    """A column of the frame.

    Args:
        name: its name, and where the condition has it.
        values: its values.
        dtype: their type.
    """

    name: Name
    values: pl.Expr
    dtype: DataType

    def is_missing(self) -> pl.Expr:
        """Return whether the value is missing or NaN."""
        return (self.values.fill_nan(None) if self.dtype.is_float() else self.values).is_null()

    def compared(self) -> ColumnType:
        """Return how the column compares with values.

        Raises:
            ValueError: values of this type cannot be compared.
        """
        if isinstance(self.dtype, (pl.List, pl.Array)):
            raise self._refusal("has lists; ask for one of their elements with contains")
        return self._typed(self.values, self.dtype)

    def contains(self, value: Value) -> pl.Expr:
        """Return whether the list has an element, or the text has a part.

        Raises:
            ValueError: the column has neither lists nor texts, or the value does not fit.
        """
        if isinstance(self.dtype, (pl.List, pl.Array)):
            lists = self.values.arr.to_list() if isinstance(self.dtype, pl.Array) else self.values
            assert isinstance(self.dtype.inner, pl.DataType)
            elements = self._typed(pl.element(), self.dtype.inner)
            return lists.list.eval(elements.one_of([value])).list.any()
        column = self.compared()
        if isinstance(column, (Texts, Categories, Nothing)):
            return column.contains(value)
        raise self._refusal("has neither texts nor lists, so that it contains nothing; compare it with = or in")

    def _typed(self, values: pl.Expr, dtype: DataType) -> ColumnType:
        readers = Readers(self.name.text)
        if dtype.is_integer():
            return Exact(values, dtype, readers.number)
        if dtype.is_float():
            return Floats(values.fill_nan(None), dtype, readers.number)
        if dtype == pl.Boolean:
            return TruthValues(values, readers)
        if dtype == pl.Null:
            return Nothing(values)
        return _stored_as_integers(values, dtype, readers) or self._text(values, dtype, readers)

    def _text(self, values: pl.Expr, dtype: DataType, readers: Readers) -> ColumnType:
        texts = Texts(values.cast(pl.String), readers.text)
        if isinstance(dtype, pl.Enum):
            index = partial(readers.index, categories=dtype.categories.to_list())
            return Categories(texts, Exact(values.to_physical().cast(pl.Int64), pl.Int64(), index))
        if dtype == pl.String or dtype == pl.Categorical:
            return texts
        raise self._refusal(f"has values of type {clipped(str(dtype))}; ask only whether they are missing")

    def _refusal(self, reason: str) -> ValueError:
        return refusal(self.name.position, f"column {clipped(self.name.text)!r} {reason}")


def _stored_as_integers(values: pl.Expr, dtype: DataType, readers: Readers) -> Exact | None:
    stored = values.to_physical()
    if isinstance(dtype, pl.Decimal):
        return Exact(stored, pl.Int128(), lambda value: readers.number(value) * 10 ** (dtype.scale or 0))
    if dtype == pl.Date:
        return Exact(stored, pl.Int32(), lambda value: readers.seconds(value) / DAY)
    if isinstance(dtype, pl.Datetime):
        per_second = UNITS[dtype.time_unit]
        return Exact(stored, pl.Int64(), lambda value: readers.seconds(value) * per_second)
    return None
