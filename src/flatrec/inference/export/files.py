"""Files of rows, written block by block: Parquet, CSV and JSON lines. A file appears whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from flatrec.inference.export.options import Format
from flatrec.inference.export.schema import Schema

ROW_GROUP = 100_000  # rows; a reader needs the memory of one group
_NUMBER = re.compile(r"\(os error (?P<number>\d+)\)")


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
    with _plain_errors():
        if kind == "parquet":
            _write_parquet(frames, file, schema)
        else:
            _write_text(frames, file, kind, schema if header else None)


def _write_text(frames: Iterable[pl.DataFrame], file: Path, kind: Format, header: Schema | None) -> None:
    with file.open("wb") as target:
        if kind == "csv" and header is not None:
            pl.DataFrame(schema=header).write_csv(target)
        for frame in frames:
            if kind == "csv":
                frame.write_csv(target, include_header=False)
            else:
                frame.write_ndjson(target)


def _write_parquet(frames: Iterable[pl.DataFrame], file: Path, schema: Schema) -> None:
    from polars.io.plugins import register_io_source

    failures: list[BaseException] = []  # some versions of polars raise errors of their own in the place of these

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del columns, predicate, n_rows, batch_size  # a query that only writes asks for all rows as they are
        try:
            yield from frames
        except BaseException as error:
            failures.append(error)
            raise

    query = register_io_source(source, schema=schema)
    try:
        query.sink_parquet(file, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise failures[0] if failures else error from None


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn an error of the operating system that polars reports without its number into one that Python knows."""
    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        found = _NUMBER.search(str(error))
        if found is None or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise OSError(int(found["number"]), os.strerror(int(found["number"]))) from None
