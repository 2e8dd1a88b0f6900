"""Tables from files of unknown quality: every failure is one line that names the file."""

from __future__ import annotations

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import safetensors
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.formats.columns import as_ids, as_text, missing_ids
from flatrec.data.formats.parquet import is_parquet, scan_parts, silent_panics
from flatrec.data.formats.text import PLAIN, Layout, TextTable, open_text
from flatrec.data.id_repair import Tidied, tidied
from flatrec.utils.messages import clipped, quoted

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
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
    if not path.is_file() and not (path.is_dir() and is_parquet(path)):
        raise FileNotFoundError(f"{path} is not a file; expected {expected}")
    try:
        yield
    except MALFORMED as error:
        panicked = isinstance(error, pl.exceptions.PanicException)
        reason = "it is damaged" if panicked else (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as {expected}: {clipped(reason, 250)}") from None


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is read once its columns are chosen; text tables have text columns only.

    Args:
        path: the file, or the folder of Parquet parts.
        frame: how it is read.
        columns: the names of its columns.
        text: how it is written, where it is text.
    """

    path: Path
    frame: pl.LazyFrame
    columns: list[str]
    text: TextTable | None = None

    def select(self, columns: Mapping[str, str]) -> Rows:
        """The rows that are not blank, and of these the wanted columns.

        Args:
            columns: the column in the file by the name it gets.

        Raises:
            ValueError: a column is missing, the table has no rows, or the file is malformed.
        """
        wanted = list(dict.fromkeys(columns.values()))
        missing = [column for column in wanted if column not in self.columns]
        if missing:
            raise ValueError(
                f"{self.path} has no column {quoted(missing)[1:-1]}; its columns are {quoted(self.columns)}"
            )
        frame = self._collect(self.frame.select(wanted))
        joined, numbers = 0, np.arange(len(frame))
        if self.text is not None:
            joined = self._check_lines(self.text, len(frame))
            kept = ~self._blank(frame)
            frame, numbers = (frame, numbers) if kept.all() else (frame.filter(kept), numbers[kept])
        if frame.is_empty():
            raise ValueError(f"{self.path} is empty; expected at least one row below its header")
        return Rows(self, frame, dict(columns), numbers, joined)

    def _check_lines(self, text: TextTable, rows: int) -> int:
        """Refuse rows of too many cells, which polars sees only where it reads all; how many lines are within cells."""
        census = text.census()
        if census.separators > rows * (len(self.columns) - 1):  # or some are within quotation marks
            self._collect(self.frame.select(pl.all_horizontal(pl.all().is_null()).any()))
        return max(0, census.lines - rows) if census.quotes else 0

    def _blank(self, frame: pl.DataFrame) -> ndarray:
        """Which rows have no cell at all; all columns are looked at only where the chosen ones are empty."""
        blank = _empty(frame)
        if blank.any() and len(frame.columns) < len(self.columns):
            others = [column for column in self.columns if column not in frame.columns]
            blank &= _empty(self._collect(self.frame.select(others)))
        return blank

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        with _reading_table(self.path, self.text):
            return frame.collect()


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of a table, under names of our own.

    Args:
        table: where they are from.
        frame: the columns under the names that the file has.
        names: those by the names of our own.
        numbers: of the rows in the table.
        joined_lines: lines that went into cells of several lines.
    """

    table: Table
    frame: pl.DataFrame
    names: Mapping[str, str]
    numbers: Int[ndarray, "n_rows"]
    joined_lines: int = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self.table.path

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> pl.Series:
        return self.frame[self.names[name]]

    def texts(self, name: str) -> pl.Series:
        """A column of texts; see :func:`as_text`."""
        return as_text(self[name], self.path)

    def ids(self, name: str, what: str | None = None) -> Tidied:
        """A column of ids without blanks around them, and whole numbers without a decimal point.

        Args:
            name: our name of the column.
            what: what messages call a row; None where ids may be missing.

        Raises:
            ValueError: an id is missing, or is no text or whole number.
        """
        found = tidied(as_ids(self[name], self.path))
        missing = missing_ids(found.ids)
        if what is not None and missing.any():
            first = int(np.flatnonzero(missing)[0])
            raise ValueError(
                f"{self.path} has {int(missing.sum())} of {len(missing)} {what}, the first in {self.place(first)}; "
                "fill them in or leave them out"
            )
        return found

    def place(self, row: int) -> str:
        """Where a row is in the file."""
        number = int(self.numbers[row]) + 1
        if self.table.text is None or self.joined_lines:
            return f"row {number}"
        return f"line {number + self.table.text.header_line}"

    def repairs(self, *ids: Tidied, columns: Sequence[str] = (), without_id: int = 0) -> TableCleaningReport:
        """What reading these rows and ids changed."""
        breakable = self.joined_lines > 0 or self.table.text is None
        broken = (int(one.ids.str.contains("\n", literal=True).sum()) for one in ids if breakable)
        return TableCleaningReport(
            self.path.name,
            joined_lines=self.joined_lines,
            broken_ids=sum(broken),
            padded_ids=sum(one.padded for one in ids),
            decimal_ids=sum(one.decimals for one in ids),
            decimal_id=next((one.decimal for one in ids if one.decimal), ""),
            rows_without_id=without_id,
            columns=tuple(columns),
        )


def scan(path: Path, layout: Layout = PLAIN, wanted: Sequence[Collection[str]] = ()) -> Table:
    """A table whose columns are known.

    Args:
        path: a ``.parquet`` file, a folder of such, or delimited text under any other name, packed by gzip or not.
        layout: of the text, where the file does not show it.
        wanted: columns that it should have, each under any of some names; they tell separators apart.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or malformed.
    """
    if is_parquet(path):
        with reading(path, "a Parquet table"), silent_panics():
            frame = scan_parts(path)
            return Table(path, frame, frame.collect_schema().names())
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a table with a header")
    text = open_text(path, layout, wanted)
    with _reading_table(path, text):
        frame = text.scan()
        return Table(path, frame, frame.collect_schema().names(), text)


@contextmanager
def _reading_table(path: Path, text: TextTable | None) -> Iterator[None]:
    """As :func:`reading`, with the line of a text that is wrong, where one is."""
    with reading(path, "a table with a header"), silent_panics() if text is None else nullcontext():
        try:
            yield
        except pl.exceptions.PolarsError:
            if text is not None and (fault := text.fault()):
                raise ValueError(fault) from None
            raise


def _empty(frame: pl.DataFrame) -> ndarray:
    """Which rows have nothing but blanks in text columns."""
    empty = np.full(len(frame), all(kind == pl.String for kind in frame.dtypes))
    for column in frame.iter_columns():
        if empty.any():
            empty &= (column.is_null() | (column.str.strip_chars() == "").fill_null(False)).to_numpy()
    return empty


def existing_images(names: Mapping[str, str], table: Path) -> dict[str, Path]:
    """Image files by id, their names relative to the folder of the table that lists them.

    Raises:
        FileNotFoundError: a listed file does not exist.
        ValueError: a listed file does not have the ending of an image.
    """
    images = {key: table.parent / name for key, name in names.items() if name}
    foreign = [path for path in images.values() if path.suffix.lower() not in IMAGES]
    if foreign:
        name = clipped(foreign[0].name)
        raise ValueError(f"{table} lists {name!r} as an image; images end in {', '.join(IMAGES)}")
    absent = [path for path in images.values() if not path.is_file()]
    if absent:
        raise FileNotFoundError(
            f"{table} lists {len(absent)} of {len(images)} images that do not exist, e.g. {absent[0]}; "
            "add the files or leave their cells empty"
        )
    return images


def visible(directory: Path, pattern: str) -> list[Path]:
    """What a folder holds of a pattern, sorted; names that begin with a dot are those of half-written files.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path for path in directory.glob(pattern) if not path.name.startswith("."))


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
