"""Tables from files of unknown quality: every error is one line that names the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Bool, Int
from numpy import ndarray

from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.id_repair import IdMatching, RepairedIds, repair_ids
from flatrec.data.tables.columns import as_ids, as_text, is_missing
from flatrec.data.tables.malformed import reading
from flatrec.data.tables.parquet import is_parquet, scan_parts, silent_panics
from flatrec.data.tables.text import PLAIN, Layout, TextTable, cells, open_text
from flatrec.utils.messages import clipped, quoted

NO_FILE = Path()  # in the place of a file, if the table is given as a frame
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")  # text tables may be compressed by gzip


@runtime_checkable
class ColumnReader(Protocol):
    """Reads columns by name when they are needed; a lazy frame of polars is one."""

    def select(self, columns: Sequence[str], /) -> pl.LazyFrame:
        """Return a query that reads these columns."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose rows are read after the columns are chosen; all columns of a text table are text."""

    path: Path  # the file, or the folder of Parquet files; a name for messages if the table is in memory
    frame: ColumnReader  # what reads it
    columns: list[str]  # the names of its columns
    text: TextTable | None = None  # how the file is written, if it is a text table
    decimal: str = "."  # the decimal mark of numbers that are text
    in_memory: bool = False  # whether it is a frame in memory
    index: str = ""  # what the index of a frame of pandas holds, which is no column, for messages

    def check_index(self, wanted: Sequence[Collection[str]]) -> None:
        """Refuse a frame of pandas that lacks a wanted column but has an index, which may be that column.

        Args:
            wanted: columns that the table should have, each as a group of possible names.

        Raises:
            ValueError: this is so.
        """
        if not self.index:
            return
        spelled = {column.lower() for column in self.columns}
        lacking = next((group for group in wanted if not any(name.lower() in spelled for name in group)), None)
        if lacking is not None:
            name, similar = next(iter(lacking)), " or similar" if len(lacking) > 1 else ""
            raise ValueError(
                f"{self.path} has no column {clipped(name)!r}{similar}, but an index {self.index}, which is no column; "
                "give frame.reset_index(), after frame.rename_axis(a name) if the index has none"
            )

    def select(self, columns: Mapping[str, str]) -> TableRows:
        """Read the wanted columns of the rows that are not blank.

        Args:
            columns: the name of the column in the file, by the new name.

        Raises:
            ValueError: a column is missing or there twice, the table has no rows, or the file is malformed.
        """
        wanted = list(dict.fromkeys(columns.values()))
        self._check_unique(wanted)
        missing = [column for column in wanted if column not in self.columns]
        if missing:
            raise ValueError(
                f"{self.path} has no column {quoted(missing)[1:-1]}; its columns are {quoted(self.columns)}"
            )
        frame = self._collect(self.frame.select(wanted))
        joined_lines, row_indices = 0, np.arange(len(frame))
        if self.text is not None:
            joined_lines = self._check_lines(self.text, len(frame))
            filled = ~self._blank(frame)
            if not filled.all():
                frame, row_indices = frame.filter(filled), row_indices[filled]
        if frame.is_empty():
            below = " below its header" if not self.in_memory else ""
            raise ValueError(f"{self.path} is empty; expected at least one row{below}")
        return TableRows(self, frame, dict(columns), row_indices, joined_lines)

    def _check_unique(self, wanted: Sequence[str]) -> None:
        """Refuse a column whose name several columns have; polars would read the first and rename the others."""
        if self.text is None:
            return
        quote = self.text.quote or ""
        names = [cell.strip(quote) for cell in cells(self.text.header, self.text.separator, self.text.quote)]
        for column in wanted:
            if names.count(column) > 1:
                raise ValueError(
                    f"{self.path} has {names.count(column)} columns {clipped(column)!r}; rename all but one of them"
                )

    def _check_lines(self, text: TextTable, rows: int) -> int:
        """Refuse rows with too many cells, which polars notices only if it reads all columns.

        Returns:
            The number of lines that are inside multi-line cells.
        """
        counts = text.count_lines()
        if counts.separators > rows * (len(self.columns) - 1):  # or some separators are inside quotation marks
            self._collect(self.frame.select(self.columns).select(pl.all_horizontal(pl.all().is_null()).any()))
        return max(0, counts.lines - rows) if counts.quotes else 0

    def _blank(self, frame: pl.DataFrame) -> ndarray:
        """Return True for each row without any cell; the other columns are read only if the chosen ones are empty."""
        blank = _empty(frame)
        if blank.any() and len(frame.columns) < len(self.columns):
            others = [column for column in self.columns if column not in frame.columns]
            blank &= _empty(self._collect(self.frame.select(others)))
        return blank

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        with _reading_table(self.path, self.text, in_memory=self.in_memory):
            return frame.collect()


def path_of(source: Path | Table) -> Path:
    """Return the path of a file, or the name of a table in memory, for messages."""
    return source.path if isinstance(source, Table) else source


@dataclass(frozen=True, eq=False)
class TableRows:
    """Some columns of a table under new names."""

    table: Table  # the table
    frame: pl.DataFrame  # the columns under the names of the file
    names: Mapping[str, str]  # the names in the file by the new names
    row_indices: Int[ndarray, "n_rows"]  # the index of each row in the table
    joined_lines: int = 0  # lines that continue a multi-line cell

    @property
    def path(self) -> Path:
        """The path of the table."""
        return self.table.path

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> pl.Series:
        return self.frame[self.names[name]]

    @property
    def decimal(self) -> str:
        """The decimal mark of numbers that are text."""
        return self.table.decimal

    def take(self, mask: Bool[ndarray, "n_rows"]) -> TableRows:
        """Return the rows for which the mask is True."""
        return self if mask.all() else replace(self, frame=self.frame.filter(mask), row_indices=self.row_indices[mask])

    def texts(self, name: str) -> pl.Series:
        """Return a column of texts; see :func:`as_text`."""
        return as_text(self[name], self.path)

    def ids(self, name: str, rows_without_id: str | None = None, matching: IdMatching = "trim") -> RepairedIds:
        """Return a column of repaired ids.

        Args:
            name: the new name of the column.
            rows_without_id: what messages call rows without an id; None if ids may be missing.
            matching: which differences between ids are removed.

        Raises:
            ValueError: an id is missing, or is neither text nor a whole number.
        """
        ids = repair_ids(as_ids(self[name], self.path), matching)
        missing = is_missing(ids.ids)
        if rows_without_id is not None and missing.any():
            first = int(np.flatnonzero(missing)[0])
            raise ValueError(
                f"{self.path} has {int(missing.sum())} of {len(missing)} {rows_without_id}, "
                f"the first in {self.position(first)}; "
                'fill them in or leave them out; missing_ids = "drop" in dataset.toml leaves such interactions out'
            )
        return ids

    def position(self, row: int) -> str:
        """Return the position of a row in the file, such as ``line 7``."""
        number = int(self.row_indices[row]) + 1
        if self.table.in_memory:
            return f"row {number - 1}, counted from 0"
        if self.table.text is None or self.joined_lines:
            return f"row {number}"
        return f"line {number + self.table.text.header_line}"

    def cleaning_report(
        self, *ids: RepairedIds, row_number_columns: Sequence[str] = (), without_id: int = 0
    ) -> TableCleaningReport:
        """Return the counts of what was changed in these rows and ids."""
        breakable = self.joined_lines > 0 or self.table.text is None
        broken = (int(column.ids.str.contains("\n", literal=True).sum()) for column in ids if breakable)
        return TableCleaningReport(
            self.path.name,
            joined_lines=self.joined_lines,
            broken_ids=sum(broken),
            padded_ids=sum(column.padded for column in ids),
            lowercased_ids=sum(column.lowercased for column in ids),
            decimal_ids=sum(column.decimals for column in ids),
            decimal_id_example=next((column.decimal_example for column in ids if column.decimal_example), ""),
            rows_without_id=without_id,
            row_number_columns=tuple(row_number_columns),
        )


def scan(path: Path | Table, layout: Layout = PLAIN, wanted: Sequence[Collection[str]] = ()) -> Table:
    """Return a table after reading the names of its columns.

    Args:
        path: a ``.parquet`` file, a folder of these, or delimited text under any other name, which may be compressed
            by gzip; or a table in memory.
        layout: how the text is written, if the file does not show it.
        wanted: columns that the table should have, each as a group of possible names; the separator is the one under
            which most of them are found.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or malformed.
    """
    if isinstance(path, Table):
        path.check_index(wanted)
        return replace(path, decimal=layout.decimal)
    if is_parquet(path):
        with reading(path, "a Parquet table"), silent_panics():
            frame = scan_parts(path)
            return Table(path, frame, frame.collect_schema().names(), decimal=layout.decimal)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a table with a header")
    text = open_text(path, layout, wanted)
    with _reading_table(path, text):
        frame = text.scan()
        return Table(path, frame, frame.collect_schema().names(), text, layout.decimal)


@contextmanager
def _reading_table(path: Path, text: TextTable | None, *, in_memory: bool = False) -> Iterator[None]:
    """Do the same as :func:`reading`, and name the faulty line of a text, if one is found."""
    with (
        reading(path, "a table with a header", in_memory=in_memory),
        silent_panics() if text is None else nullcontext(),
    ):
        try:
            yield
        except pl.exceptions.PolarsError:
            if text is not None and (fault := text.fault()):
                raise ValueError(fault) from None
            raise


def _empty(frame: pl.DataFrame) -> ndarray:
    """Return True for each row that has only blanks; rows with other columns than text are never empty."""
    empty = np.full(len(frame), all(kind == pl.String for kind in frame.dtypes))
    for column in frame.iter_columns():
        if empty.any():
            empty &= (column.is_null() | (column.str.strip_chars() == "").fill_null(False)).to_numpy()
    return empty


def visible(directory: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match a pattern, sorted; hidden ones, such as half-written files, are left out.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path for path in directory.glob(pattern) if not path.name.startswith("."))


def single_file(paths: Sequence[Path], directory: Path, pattern: str) -> Path:
    """Return the only path, or the one that is named like the folder.

    Raises:
        FileNotFoundError: there is no path.
        ValueError: there are several, and none is named like the folder.
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
