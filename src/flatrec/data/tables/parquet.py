"""Parquet tables: a file, or a folder of part files as Spark writes them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

ENDING = ".parquet"


def is_parquet(path: Path) -> bool:
    """Return True for a Parquet file, by its name, and for a folder that holds ``part-*.parquet``."""
    return path.suffix.lower() == ENDING or (path.is_dir() and any(path.glob(f"part-*{ENDING}")))


def part_files(path: Path) -> list[Path]:
    """Return the files of a table: the path itself, or the files of a folder, except hidden files and those of Spark.

    Raises:
        FileNotFoundError: the folder holds no Parquet file.
    """
    if not path.is_dir():
        return [path]
    files = [
        file
        for file in sorted(path.rglob(f"*{ENDING}"))
        if file.is_file() and not any(name.startswith((".", "_")) for name in file.relative_to(path).parts)
    ]
    if not files:
        raise FileNotFoundError(f"{path} is a folder without Parquet files; expected part-*{ENDING} in it")
    return files


def scan_parts(path: Path) -> pl.LazyFrame:
    """Return all part files as one table; folders named ``column=value`` become a column.

    Raises:
        FileNotFoundError: the folder holds no Parquet file.
    """
    files = part_files(path)
    folders = [folder for file in files for folder in file.relative_to(path).parts[:-1]] if path.is_dir() else []
    return pl.scan_parquet(files, glob=False, hive_partitioning=any("=" in folder for folder in folders))


@contextmanager
def silent_panics() -> Iterator[None]:
    """Delay what is written to standard error, and drop it if polars panics, since polars prints its own report."""
    try:
        original = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    panicked = False
    with tempfile.TemporaryFile() as delayed:
        os.dup2(delayed.fileno(), 2)
        try:
            yield
        except pl.exceptions.PanicException:
            panicked = True
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
            delayed.seek(0)
            if not panicked and (text := delayed.read()):
                os.write(2, text)
