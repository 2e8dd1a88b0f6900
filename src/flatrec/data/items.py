"""A table of items as a shop has it: ids, texts, whatever else."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.data.formats.columns import as_text
from flatrec.data.formats.files import scan
from flatrec.data.formats.keyed import ITEM_NAMES, guess
from flatrec.data.formats.table import TABLE_SUFFIXES
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.messages import clipped, quoted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ItemTable:
    """A table with a row an item.

    Args:
        frame: its columns in order.
        ids: the item ids in the order of the rows.
        path: where it was read, for messages.
        id_column: the column of the ids.
    """

    frame: pl.DataFrame
    ids: tuple[str, ...]
    path: Path
    id_column: str

    def column(self, name: str) -> dict[str, str | None]:
        """A column by item id, in the order of the rows.

        Raises:
            ValueError: there is no such column, or it holds anything but texts and whole numbers.
        """
        if name not in self.frame.columns:
            raise ValueError(
                f"{self.path} has no column {clipped(name)!r}; its columns are {quoted(self.frame.columns)}"
            )
        return dict(zip(self.ids, as_text(self.frame[name], self.path).to_list(), strict=True))

    def joined(self, names: Sequence[str]) -> dict[str, str | None]:
        """Several columns as one text an item, empty cells left out.

        Raises:
            ValueError: there is no such column.
        """
        columns = [self.column(name) for name in names]
        parts = {item: [one[item] or "" for one in columns] for item in self.ids}
        return {item: " ".join(filter(None, map(str.strip, some))) or None for item, some in parts.items()}

    def replaced(self, name: str, values: Mapping[str, str | None]) -> ItemTable:
        """The table with a column of these values by item id, in its place or at the end."""
        column = pl.Series(name, [values.get(item) for item in self.ids], dtype=pl.String)
        return replace(self, frame=self.frame.with_columns(column))

    def check_writable(self, path: Path) -> None:
        """Make sure that the table can be written there, before what goes into it is paid for.

        Raises:
            ValueError: another ending than ``.csv``, ``.tsv`` or ``.parquet``, lists or bytes that only Parquet holds,
                or the very file that the table was read from.
            OSError: there is no such folder, it is not to be written to, or the path is a folder.
        """
        if path.suffix.lower() not in TABLE_SUFFIXES:
            raise ValueError(f"{path} must end in .csv, .tsv or .parquet")
        only = [name for name, kind in self.frame.schema.items() if kind.is_nested() or kind == pl.Binary]
        if only and path.suffix.lower() != ".parquet":
            raise ValueError(f"{path} cannot hold what is in column {only[0]!r}; give it the ending .parquet")
        if path.resolve() == self.path.resolve():
            raise ValueError(f"{path} is what is read; write to another file")
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise OSError(f"cannot write {path}; choose a file in a folder that exists and is writable")

    def write(self, path: Path) -> None:
        """As ``.csv``, ``.tsv`` or ``.parquet``, by the ending of the path; whole or not at all.

        Raises:
            ValueError: another ending, or lists or bytes that only Parquet holds.
            OSError: it cannot be written.
        """
        self.check_writable(path)
        with atomic_write(path) as temporary:
            if path.suffix.lower() == ".parquet":
                self.frame.write_parquet(temporary)
            else:
                self.frame.write_csv(temporary, separator="\t" if path.suffix.lower() == ".tsv" else ",")


def read_items(path: Path, id_column: str | None = None) -> ItemTable:
    """The items in a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Args:
        path: the file.
        id_column: the ids; guessed from the usual names if left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, no such column, or an id that is missing or there twice.
    """
    table = scan(path, wanted=[(id_column,) if id_column else ITEM_NAMES])
    column = id_column or guess(table.columns, ITEM_NAMES, path, "item")
    if column not in table.columns:
        raise ValueError(f"{path} has no column {clipped(column)!r}; its columns are {quoted(table.columns)}")
    rows = table.select({name: name for name in table.columns})
    found = rows.ids(column, "rows without an item id")
    if repeated := int(found.ids.is_duplicated().sum()):
        raise ValueError(f"{path} has {repeated} rows that share their {clipped(column)}; keep one row an item")
    for sentence in rows.repairs(found).sentences():
        logger.warning(sentence)
    return ItemTable(rows.frame, tuple(found.ids.to_list()), path, column)
