"""Parquet tables: a file, or a folder of parts as Spark writes them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

ENDING = ".parquet"


def is_parquet(path: Path) -> bool:
    """Whether a path is a Parquet file or a folder of parts, by its name or what is in it."""
    return path.suffix.lower() == ENDING or (path.is_dir() and any(path.glob(f"part-*{ENDING}")))


def parts(path: Path) -> list[Path]:
    """The files of a table: the path itself, or what a folder holds, without what is hidden or of Spark's own.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = [
        one
        for one in sorted(path.rglob(f"*{ENDING}"))
        if one.is_file() and not any(part.startswith((".", "_")) for part in one.relative_to(path).parts)
    ]
    if not found:
        raise FileNotFoundError(f"{path} is a folder without Parquet files; expected part-*{ENDING} in it")
    return found


def scan_parts(path: Path) -> pl.LazyFrame:
    """All parts as one table; folders named ``column=value`` are a column.

    Raises:
        FileNotFoundError: there is none.
    """
    files = parts(path)
    columns = any("=" in part for one in files for part in one.relative_to(path).parts[:-1]) if path.is_dir() else False
    return pl.scan_parquet(files, glob=False, hive_partitioning=columns)


@contextmanager
def silent_panics() -> Iterator[None]:
    """Hold back what is written to standard error, and drop it where polars panics, which it prints by itself."""
    try:
        original = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    panicked = False
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except pl.exceptions.PanicException:
            panicked = True
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            if not panicked and (said := held.read()):
                os.write(2, said)
