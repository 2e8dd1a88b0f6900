"""A table of items with any columns: ids, texts, prices and so on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.data.tables.columns import as_text
from flatrec.data.tables.feature_files import ITEM_NAMES, guess_column
from flatrec.data.tables.files import TABLE_SUFFIXES, scan
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.messages import clipped, quoted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ItemTable:
    """A table with one row per item."""

    frame: pl.DataFrame  # the columns, in the order of the file
    ids: tuple[str, ...]  # the item ids in the order of the rows
    path: Path  # the file from which it was read
    id_column: str  # the name of the column of ids

    def column(self, name: str) -> dict[str, str | None]:
        """Return a column by item id, in the order of the rows.

        Raises:
            ValueError: there is no such column, or it holds anything but texts and whole numbers.
        """
        if name not in self.frame.columns:
            raise ValueError(
                f"{self.path} has no column {clipped(name)!r}; its columns are {quoted(self.frame.columns)}"
            )
        return dict(zip(self.ids, as_text(self.frame[name], self.path).to_list(), strict=True))

    def join_columns(self, names: Sequence[str]) -> dict[str, str | None]:
        """Return several columns joined to one text per item, without empty cells.

        Raises:
            ValueError: there is no such column.
        """
        columns = [self.column(name) for name in names]
        parts = {item: [column[item] or "" for column in columns] for item in self.ids}
        return {item: " ".join(filter(None, map(str.strip, texts))) or None for item, texts in parts.items()}

    def with_column(self, name: str, values: Mapping[str, str | None]) -> ItemTable:
        """Return the table with a column of values by item id, which replaces the column of that name or comes last."""
        column = pl.Series(name, [values.get(item) for item in self.ids], dtype=pl.String)
        return replace(self, frame=self.frame.with_columns(column))

    def check_writable(self, path: Path) -> None:
        """Refuse a path to which the table cannot be written, before its new contents are computed or paid for.

        Raises:
            ValueError: the ending is none of ``.csv``, ``.tsv`` and ``.parquet``, a column of lists or bytes needs
                Parquet, or the path is the file from which the table was read.
            OSError: the folder does not exist or is not writable, or the path is a folder.
        """
        if path.suffix.lower() not in TABLE_SUFFIXES:
            raise ValueError(f"{path} must end in .csv, .tsv or .parquet")
        nested = [name for name, kind in self.frame.schema.items() if kind.is_nested() or kind == pl.Binary]
        if nested and path.suffix.lower() != ".parquet":
            raise ValueError(
                f"{path} cannot hold the lists or bytes of column {nested[0]!r}; choose a name that ends in .parquet"
            )
        if path.resolve() == self.path.resolve():
            raise ValueError(f"{path} is the table that is read; write to another file")
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise OSError(f"cannot write {path}; choose a file in a folder that exists and is writable")

    def write(self, path: Path) -> None:
        """Write ``.csv``, ``.tsv`` or ``.parquet``, by the ending of the path; the file appears whole or not at all.

        Raises:
            ValueError: the ending is another one, or a column of lists or bytes needs Parquet.
            OSError: it cannot be written.
        """
        self.check_writable(path)
        with atomic_write(path) as temporary:
            if path.suffix.lower() == ".parquet":
                self.frame.write_parquet(temporary)
            else:
                self.frame.write_csv(temporary, separator="\t" if path.suffix.lower() == ".tsv" else ",")


def read_items(path: Path, id_column: str | None = None) -> ItemTable:
    """Read the items of a ``.csv``, ``.tsv`` or ``.parquet`` file; ids are in one of ITEM_NAMES by default.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is malformed, has no such column, or an id is missing or repeated.
    """
    table = scan(path, wanted=[(id_column,) if id_column else ITEM_NAMES])
    column = id_column or guess_column(table.columns, ITEM_NAMES, path, "item")
    if column not in table.columns:
        raise ValueError(f"{path} has no column {clipped(column)!r}; its columns are {quoted(table.columns)}")
    rows = table.select({name: name for name in table.columns})
    ids = rows.ids(column, "rows without an item id")
    if repeated := int(ids.ids.is_duplicated().sum()):
        raise ValueError(f"{path} has {repeated} rows that share their {clipped(column)}; keep one row per item")
    for sentence in rows.cleaning_report(ids).sentences():
        logger.warning(sentence)
    return ItemTable(rows.frame, tuple(ids.ids.to_list()), path, column)
