"""Whatever a library raises on a malformed file, as an error of one line."""

from __future__ import annotations

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import safetensors

from flatrec.data.tables.parquet import is_parquet
from flatrec.utils.messages import clipped

# What the libraries raise on damaged files. Errors of the operating system are not among them: a file that may not
# be read is not malformed.
MALFORMED = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    safetensors.SafetensorError,
    pickle.UnpicklingError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def reading(path: Path, expected: str, *, in_memory: bool = False) -> Iterator[None]:
    """Turn whatever a reading library raises on a malformed file into a ValueError of one line.

    Args:
        path: the file.
        expected: what it should be, for messages.
        in_memory: whether there is no file, and ``path`` is a name for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the block failed on the contents of the file.
    """
    if not in_memory and not path.is_file() and not (path.is_dir() and is_parquet(path)):
        raise FileNotFoundError(f"{path} is not a file; expected {expected}")
    try:
        yield
    except MALFORMED as error:
        panicked = isinstance(error, pl.exceptions.PanicException)
        reason = "it is damaged" if panicked else (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as {expected}: {clipped(reason, 250)}") from None
