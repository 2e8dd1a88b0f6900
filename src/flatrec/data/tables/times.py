"""Columns of times as Unix seconds."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flatrec.utils.messages import clipped

MILLISECONDS_FROM = 10**11  # as seconds, this is in the year 5138; as milliseconds, in 1973


def as_timestamps(column: pl.Series, path: Path) -> pl.Series:
    """Return a column of times as whole Unix seconds, in UTC.

    Raises:
        ValueError: a time is missing or cannot be read.
    """
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count():
        bad = column.filter(numbers.is_null())
        raise ValueError(f"{path} has column {clipped(column.name)!r} with {len(bad)} values that are no times")
    seconds = numbers // 1000 if (numbers.abs() >= MILLISECONDS_FROM).all() else numbers
    return seconds.floor().cast(pl.Int64)
