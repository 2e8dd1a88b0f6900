"""Columns of times as Unix seconds.

A column has times of one kind; a mixture is refused, since the smaller part of it is usually a mistake. Numbers are
told apart by their size: dates of eight digits, such as 20240131, and seconds, milliseconds, microseconds and
nanoseconds since 1970. Read as seconds, the dates of 1900 to 2100 would all lie in August 1970.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.tables.columns import describe_dtype
from flatrec.data.tables.files import TableRows
from flatrec.data.tables.refusal import refuse, shown
from flatrec.utils.messages import clipped

DAY = 86_400
INTEGER = r"^[+-]?[0-9]{1,18}$"
DECIMAL = r"^[+-]?[0-9]{1,18}\.[0-9]+$"
ISO = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9])(?:[.,][0-9]+)?)?"
    r" ?(?P<zone>[Zz]|UTC|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)?)?$"
)
DATES = (19_000_101, 21_001_231)  # numbers between these are dates
UNITS = (1, 10**3, 10**6, 10**9)  # parts of a second, for numbers below each of SIZES and for larger ones
SIZES = (10**11, 10**14, 10**17)  # 10**11 seconds are in the year 5138, as many milliseconds in 1973
KINDS = (
    "Unix seconds", "Unix milliseconds", "Unix microseconds", "Unix nanoseconds", "dates such as 20240131",
    "dates without a time of day", "times without a zone", "times with a zone",
)  # fmt: skip
COMPACT, DATE, LOCAL, ZONED = 4, 5, 6, 7
ADVICE = "expected Unix seconds or milliseconds, or ISO dates such as 2024-01-31 or 2024-01-31T08:30:00+01:00"
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(second|minute|hour|day|week)s?\s*")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": DAY, "week": 7 * DAY}


class _Times(NamedTuple):
    """Times and the kind of each."""

    seconds: pl.Series  # whole Unix seconds; null if the value is no time
    kinds: Int[ndarray, "n_rows"]  # index in KINDS; anything if the value is no time


def as_timestamps(rows: TableRows, name: str, now: int | float | None = None) -> pl.Series:
    """Return a column of times as whole Unix seconds; those without a zone are in UTC.

    Args:
        rows: the rows of the table.
        name: the new name of the column.
        now: the time, in Unix seconds, that no time may exceed by more than a day; that of the clock by default.

    Raises:
        ValueError: a time is missing, cannot be read, is of another kind than the first one, or lies in the future.
    """
    column = rows[name]
    kind = column.dtype
    if kind in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if kind == pl.Date or kind.base_type() == pl.Datetime:
        seconds = column.dt.epoch("s")
        times = _Times(seconds, np.zeros(len(column), dtype=np.int8))
    elif column.dtype == pl.String:
        times = _of_text(column)
    elif kind.is_numeric():
        times = _of_numbers(column)
    else:
        raise ValueError(
            f"{rows.path} has column {clipped(column.name)!r} of {describe_dtype(column)}, which are no times; {ADVICE}"
        )
    _check(rows, name, times, time.time() if now is None else now)
    return times.seconds.cast(pl.Int64)


def parse_iso(texts: pl.Series) -> tuple[pl.Series, bool]:
    """Return ISO dates and times as Unix seconds, null for other texts, and whether none has a time of day."""
    times = _of_iso(texts)
    return times.seconds, bool((times.kinds == DATE).all())


def parse_duration(text: str) -> float:
    """Return the seconds of a duration.

    Example:
        >>> parse_duration("90 days"), parse_duration("1.5 hours")
        (7776000.0, 5400.0)

    Raises:
        ValueError: the text is no duration.
    """
    parts = _DURATION.fullmatch(text)
    if parts is None:
        raise ValueError(
            f'half_life must be such as "90 days", in seconds, minutes, hours, days or weeks, but is {clipped(text)!r}'
        )
    return float(parts[1]) * _SECONDS[parts[2]]


def _check(rows: TableRows, name: str, times: _Times, now: int | float) -> None:
    refuse(rows, name, times.seconds.is_null(), what="are no times", advice=ADVICE)
    kinds = times.kinds
    other = kinds != kinds[0]
    if other.any():
        first, kind = KINDS[kinds[0]], KINDS[kinds[other][0]]
        what = f"are {kind}, while the first row has {first} ({shown(rows[name][0])})"
        refuse(rows, name, other, what=what, advice="write all times of a column alike")
    future = times.seconds > int(now) + DAY
    refuse(rows, name, future, what="lie in the future", advice="check the clock, or leave these rows out")


def _of_numbers(column: pl.Series) -> _Times:
    """Return numbers as times; the unit follows from the size."""
    if not column.dtype.is_integer():
        column = column.cast(pl.Float64, strict=False).fill_nan(None)
    sizes = column.abs().fill_null(0).to_numpy()
    kinds = np.digitize(sizes, SIZES).astype(np.int8)
    compact = (sizes >= DATES[0]) & (sizes <= DATES[1])
    if compact.any():
        dates = column.cast(pl.Int64, strict=False).cast(pl.String).str.to_date("%Y%m%d", strict=False).dt.epoch("s")
        if compact.all():
            return _Times(dates, np.full(len(column), COMPACT, dtype=np.int8))
        if not dates.is_null().to_numpy()[compact].any():  # else they are seconds, which a date would hardly look like
            kinds[compact] = COMPACT
    kinds[sizes == 0] = kinds[np.argmax(sizes > 0)]  # zero is zero in every unit
    unit = UNITS[kinds[0]] if kinds[0] < COMPACT else 1
    seconds = column // unit if column.dtype.is_integer() else (column / unit).floor()
    return _Times(seconds.cast(pl.Int64, strict=False), kinds)


def _of_text(column: pl.Series) -> _Times:
    """Return texts as times: numbers, or ISO dates with or without a time of day."""
    whole = column.cast(pl.Int64, strict=False)
    if not whole.null_count():
        return _of_numbers(whole)
    texts = column.str.strip_chars()
    integers, decimals = texts.str.contains(INTEGER), texts.str.contains(DECIMAL)
    numeric = (integers | decimals).fill_null(False)
    if not numeric.any():
        return _of_iso(texts)
    if numeric.all():
        return _of_numbers(texts.cast(pl.Float64, strict=False))
    iso = _of_iso(texts)
    numbers = _of_numbers(texts.cast(pl.Float64, strict=False))
    kinds = np.where(numeric.to_numpy(), numbers.kinds, iso.kinds)
    both = pl.DataFrame({"iso": iso.seconds, "number": numbers.seconds})
    return _Times(both.select(pl.coalesce("iso", "number"))["iso"], kinds)


def _of_iso(texts: pl.Series) -> _Times:
    parts = texts.str.extract_groups(ISO).struct.unnest()
    hours, minutes, seconds = (pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hour", "minute", "second"))
    dates = pl.col("date").str.to_date("%Y-%m-%d", strict=False).dt.epoch("s")
    kinds = pl.when(pl.col("zone").is_not_null()).then(ZONED).when(pl.col("hour").is_not_null()).then(LOCAL)
    read = parts.select(
        seconds=dates + hours * 3_600 + minutes * 60 + seconds - _offset(), kind=kinds.otherwise(DATE).cast(pl.Int8)
    )
    return _Times(read["seconds"], read["kind"].to_numpy())


def _offset() -> pl.Expr:
    """Return the seconds by which local time is ahead of UTC; 0 for times without a zone, and for UTC."""
    digits = pl.col("zone").str.replace_all(":", "", literal=True)
    hours, minutes = (digits.str.slice(start, 2).cast(pl.Int64, strict=False).fill_null(0) for start in (1, 3))
    seconds = hours * 3_600 + minutes * 60
    return pl.when(digits.str.starts_with("-")).then(-seconds).otherwise(seconds)
