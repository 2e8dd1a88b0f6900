"""Tables from files of unknown quality: every failure is one line that names the file."""

from __future__ import annotations

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import safetensors

from flatrec.data.interactions import PARTS

SEPARATORS = (",", "\t", ";")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
# What the libraries are known to raise on damaged files. Nothing of the operating system's: a file that may not
# be read is not a malformed one.
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
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a reading library raises on a malformed file into a ValueError of one line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the block failed on the contents of the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected {expected}")
    try:
        yield
    except MALFORMED as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as {expected}: {reason}") from None


def first_line(path: Path) -> str:
    """The first line of a text file, without its end; empty for an empty file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8 text.
    """
    with reading(path, "UTF-8 text"), path.open(encoding="utf-8-sig") as lines:
        return lines.readline().rstrip("\r\n")


def separator_of(path: Path) -> str:
    """Comma, tab or semicolon: the one that its first line holds most of; always tab in a ``.tsv`` file."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    line = first_line(path)
    return max(SEPARATORS, key=line.count)


def scan(path: Path, *, separator: str | None = None, quote: str | None = '"') -> pl.LazyFrame:
    """A table that is read once its columns are chosen; text tables have text columns only.

    Args:
        path: a ``.parquet`` file, or delimited text under any other name.
        separator: of the text, guessed from its first line if left out.
        quote: the quotation mark of the text, None where it has none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or malformed.
    """
    if path.suffix.lower() == ".parquet":
        with reading(path, "a Parquet table"):
            return pl.scan_parquet(path, glob=False)
    if not first_line(path).strip():
        raise ValueError(f"{path} has an empty first line; expected a table with a header")
    separator = separator or separator_of(path)
    with reading(path, "a table with a header"):
        return pl.scan_csv(path, separator=separator, quote_char=quote, infer_schema=False, glob=False)


def columns_of(frame: pl.LazyFrame, path: Path) -> list[str]:
    """The column names of a scanned table.

    Raises:
        ValueError: the file is malformed.
    """
    with reading(path, "a table with a header"):
        return frame.collect_schema().names()


def select(frame: pl.LazyFrame, path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """The wanted columns of a scanned table under their new names.

    Args:
        frame: the scanned table.
        path: where it came from, for messages.
        columns: the column in the file by the name it gets.

    Raises:
        ValueError: a column is missing, the table has no rows, or the file is malformed.
    """
    found = columns_of(frame, path)
    missing = [column for column in columns.values() if column not in found]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are {found}")
    with reading(path, "a table with a header"):
        table = frame.select(pl.col(column).alias(name) for name, column in columns.items()).collect()
    if table.is_empty():
        raise ValueError(f"{path} is empty; expected at least one row below its header")
    return table


def as_text(column: pl.Series, path: Path) -> pl.Series:
    """A column of ids or names as text.

    Raises:
        ValueError: the column holds anything but text or whole numbers.
    """
    kind = column.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise ValueError(
            f"{path} has column {column.name!r} of type {kind}; ids and names must be text or whole numbers"
        )
    return column.cast(pl.String)


def as_parts(column: pl.Series, path: Path) -> pl.Series:
    """A column of parts, ``train``/``valid``/``test`` or 0/1/2, as numbers.

    Raises:
        ValueError: any other value, or none.
    """
    known: dict[str, int] = {name: number for number, name in enumerate(PARTS)}
    known |= {str(number): number for number in known.values()}
    known |= {"validation": known["valid"], "val": known["valid"]}
    text = as_text(column, path).str.strip_chars().str.to_lowercase()
    bad = column.filter(~text.is_in(list(known)).fill_null(False))
    if len(bad):
        raise ValueError(
            f"{path} has column {column.name!r} with {len(bad)} of {len(column)} values that are no part, "
            f"e.g. {bad[0]!r}; use train, valid, test or 0, 1, 2"
        )
    return text.replace_strict(known, return_dtype=pl.Int8)


def as_numbers(column: pl.Series, path: Path) -> pl.Series:
    """A column of numbers from 0, as 64-bit whole numbers.

    Raises:
        ValueError: a value is missing, negative or not a whole number.
    """
    numbers = as_text(column, path).cast(pl.Int64, strict=False)
    bad = column.filter((numbers.is_null()) | (numbers < 0))
    if len(bad):
        raise ValueError(
            f"{path} has column {column.name!r} with {len(bad)} of {len(column)} values that are not whole "
            f"numbers from 0, e.g. {bad[0]!r}; number users and items from 0, or read it as a plain table"
        )
    return numbers


def dictionary(keys: pl.Series, values: pl.Series, path: Path) -> dict[str, str]:
    """Values by key, without the rows where either is missing.

    Raises:
        ValueError: a key repeats.
    """
    given = keys.is_not_null() & values.is_not_null()
    pairs = dict(zip(keys.filter(given).to_list(), values.filter(given).to_list(), strict=True))
    if len(pairs) != given.sum():
        raise ValueError(f"{path} has {given.sum() - len(pairs)} rows whose id repeats; keep one row an id")
    return pairs


def existing_pictures(names: Mapping[str, str], table: Path) -> dict[str, Path]:
    """Picture files by id, their names relative to the folder of the table that lists them.

    Raises:
        FileNotFoundError: a listed file does not exist.
        ValueError: a listed file does not have the ending of a picture.
    """
    pictures = {key: table.parent / name for key, name in names.items() if name}
    foreign = [path for path in pictures.values() if path.suffix.lower() not in PICTURES]
    if foreign:
        raise ValueError(f"{table} lists {foreign[0].name!r} as a picture; pictures end in {', '.join(PICTURES)}")
    absent = [path for path in pictures.values() if not path.is_file()]
    if absent:
        raise FileNotFoundError(
            f"{table} lists {len(absent)} of {len(pictures)} pictures that do not exist, e.g. {absent[0]}; "
            "add the files or leave their cells empty"
        )
    return pictures


def only(paths: Sequence[Path], directory: Path, pattern: str) -> Path:
    """The single path, or of several the one named like the folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several and none is named like the folder.
    """
    if not paths:
        raise FileNotFoundError(f"{directory} has no file {pattern}; give it one")
    named = [path for path in paths if path.name.split(".")[0] == directory.resolve().name]
    chosen = list(paths) if len(paths) == 1 else named
    if len(chosen) != 1:
        raise ValueError(
            f"{directory} has {len(paths)} files {pattern}, e.g. {paths[0].name}; keep one, or name it like the folder"
        )
    return chosen[0]
