"""Files of rows, written block by block: Parquet, CSV and JSON lines. A file appears whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from flatrec.inference.export.options import Format
from flatrec.inference.export.schema import Schema

ROW_GROUP = 100_000  # rows; a reader needs the memory of one group
Writer = Callable[[pl.DataFrame, BinaryIO], None]


def write_frames(frames: Iterable[pl.DataFrame], file: Path, kind: Format, schema: Schema, *, header: bool) -> None:
    """Write frames of one schema into a file, one after the other; the bytes do not depend on how rows are divided.

    Args:
        frames: the rows.
        file: the file, which should be a temporary one.
        kind: its format.
        schema: the columns of every frame.
        header: whether a CSV file begins with the names of the columns.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    if kind == "parquet":
        _write_parquet(frames, file, schema)
        return
    with file.open("wb") as target:
        if kind == "csv" and header:
            pl.DataFrame(schema=schema).write_csv(target)
        for frame in frames:
            if kind == "csv":
                frame.write_csv(target, include_header=False)
            else:
                frame.write_ndjson(target)


def _write_parquet(frames: Iterable[pl.DataFrame], file: Path, schema: Schema) -> None:
    from polars.io.plugins import register_io_source

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del columns, predicate, n_rows, batch_size  # a query that only writes asks for all rows as they are
        yield from frames

    with _plain_errors(file):
        query = register_io_source(source, schema=schema)
        query.sink_parquet(file, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True)


@contextmanager
def _plain_errors(file: Path) -> Iterator[None]:
    """Turn an error of the operating system that polars reports as its own into one that Python knows."""
    try:
        yield
    except pl.exceptions.ComputeError as error:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            if f"os error {number})" in str(error):
                raise OSError(number, os.strerror(number)) from None
        raise OSError(f"cannot write {file}: {error}") from None
