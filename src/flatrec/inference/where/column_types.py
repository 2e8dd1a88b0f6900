"""How the values of each type of column compare with the values of a condition.

Whole numbers, decimals, dates and times compare exactly, as integers: ``count < 2.5`` asks for less than 3, and no
number is rounded to a float on its way. Floats compare with the nearest number of their own precision, so that
``price = 0.1`` finds what was written as 0.1. A missing value, or NaN, gives a missing answer in every method.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from flatrec.inference.where.readers import Readers
from flatrec.inference.where.refusal import refusal
from flatrec.inference.where.tree import Value
from flatrec.utils.messages import clipped

if TYPE_CHECKING:
    DataType: TypeAlias = pl.DataType
else:
    DataType = object  # beartype, which checks annotations in the tests, cannot read that class

Reader = Callable[[Value], Fraction]  # a value of the condition in the units of the column


class ColumnType(ABC):
    """A column of one type, and how it compares with the values of a condition."""

    @abstractmethod
    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values."""

    @abstractmethod
    def below(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value."""

    @abstractmethod
    def at_most(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value or equal to it."""


@dataclass(frozen=True)
class Exact(ColumnType):
    """Integers, or what is stored as integers: decimals, dates and times."""

    column: pl.Expr
    dtype: DataType  # an integer type
    read: Reader

    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values; no integer equals a fraction."""
        lowest, highest = integer_range(self.dtype)
        numbers = [self.read(value) for value in values]
        return _one_of(
            self.column, [int(one) for one in numbers if one.denominator == 1 and lowest <= one <= highest], self.dtype
        )

    def below(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value."""
        return self._at_most(math.ceil(self.read(value)) - 1)

    def at_most(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value or equal to it."""
        return self._at_most(math.floor(self.read(value)))

    def _at_most(self, number: int) -> pl.Expr:
        lowest, highest = integer_range(self.dtype)
        if lowest <= number <= highest:
            return self.column <= pl.lit(number, dtype=self.dtype)
        return _constant(self.column, number > highest)


@dataclass(frozen=True)
class Floats(ColumnType):
    """Numbers of limited precision."""

    column: pl.Expr  # without NaN
    dtype: DataType
    read: Reader

    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values, each rounded to its precision."""
        rounded = [self._rounded(float(self.read(value))) for value in values]
        return _one_of(self.column, [one for one in rounded if math.isfinite(one)], self.dtype)

    def below(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value."""
        column, number = self._comparable(value)
        return column < number

    def at_most(self, value: Value) -> pl.Expr:
        """Return whether the column is less than a value or equal to it."""
        column, number = self._comparable(value)
        return column <= number

    def _comparable(self, value: Value) -> tuple[pl.Expr, pl.Expr]:
        number = float(self.read(value))
        if math.isfinite(self._rounded(number)):
            return self.column, pl.lit(number, dtype=pl.Float64).cast(self.dtype)
        return self.column.cast(pl.Float64), pl.lit(number, dtype=pl.Float64)  # larger than all that the type can hold

    def _rounded(self, number: float) -> float:
        return float(pl.Series([number], dtype=pl.Float64).cast(self.dtype)[0])


@dataclass(frozen=True)
class Texts(ColumnType):
    """Texts, which are ordered by the code points of their characters."""

    column: pl.Expr
    read: Callable[[Value], str]

    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values."""
        return _one_of(self.column, [self.read(value) for value in values], pl.String())

    def below(self, value: Value) -> pl.Expr:
        """Return whether the column comes before a value."""
        return self.column < pl.lit(self.read(value), dtype=pl.String)

    def at_most(self, value: Value) -> pl.Expr:
        """Return whether the column comes before a value or equals it."""
        return self.column <= pl.lit(self.read(value), dtype=pl.String)

    def contains(self, value: Value) -> pl.Expr:
        """Return whether a value is a part of the text."""
        return self.column.str.contains(self.read(value), literal=True)


@dataclass(frozen=True)
class Categories(ColumnType):
    """Texts of a fixed list, which are ordered as in that list."""

    texts: Texts
    indices: Exact  # the index of each text in the list

    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values, which need not be in the list."""
        return self.texts.one_of(values)

    def below(self, value: Value) -> pl.Expr:
        """Return whether the column comes before a value of the list."""
        return self.indices.below(value)

    def at_most(self, value: Value) -> pl.Expr:
        """Return whether the column comes before a value of the list or equals it."""
        return self.indices.at_most(value)

    def contains(self, value: Value) -> pl.Expr:
        """Return whether a value is a part of the text."""
        return self.texts.contains(value)


@dataclass(frozen=True)
class TruthValues(ColumnType):
    """True and false, which have no order."""

    column: pl.Expr
    readers: Readers

    def one_of(self, values: Sequence[Value]) -> pl.Expr:
        """Return whether the column equals one of the values."""
        return _one_of(self.column, [self.readers.truth(value) for value in values], pl.Boolean())

    def below(self, value: Value) -> pl.Expr:
        """Refuse the comparison."""
        raise refusal(
            value.position,
            f"column {clipped(self.readers.column)!r} has true and false, which have no order; compare with = or !=",
        )

    def at_most(self, value: Value) -> pl.Expr:
        """Refuse the comparison."""
        return self.below(value)


@dataclass(frozen=True)
class Nothing(ColumnType):
    """A column in which every value is missing; its type is not known, so that it compares with anything."""

    column: pl.Expr

    def one_of(self, values: Sequence[Value]) -> pl.Expr:  # noqa: ARG002
        """Return missing answers."""
        return _constant(self.column, value=False)

    def below(self, value: Value) -> pl.Expr:  # noqa: ARG002
        """Return missing answers."""
        return _constant(self.column, value=False)

    def at_most(self, value: Value) -> pl.Expr:  # noqa: ARG002
        """Return missing answers."""
        return _constant(self.column, value=False)

    def contains(self, value: Value) -> pl.Expr:  # noqa: ARG002
        """Return missing answers."""
        return _constant(self.column, value=False)


def integer_range(dtype: DataType) -> tuple[int, int]:
    """Return the lowest and the highest number of an integer type."""
    bits = int(re.sub(r"[^0-9]", "", str(dtype)))
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.is_signed_integer() else (0, 2**bits - 1)


def _constant(column: pl.Expr, value: bool) -> pl.Expr:
    return pl.when(column.is_not_null()).then(pl.lit(value))


def _one_of(column: pl.Expr, values: Sequence[int | float | str | bool], dtype: DataType) -> pl.Expr:
    if not values:
        return _constant(column, value=False)
    if len(values) == 1:
        return column == pl.lit(values[0], dtype=dtype)
    return column.is_in(pl.lit(pl.Series([values], dtype=pl.List(dtype))))
