"""A table of items as a shop has it: ids, texts, whatever else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flatrec.data.formats.files import as_text, columns_of, scan, select
from flatrec.data.formats.keyed import ITEM_NAMES, guess
from flatrec.files import replacing


@dataclass(frozen=True, eq=False)
class ItemTable:
    """A table with a row an item.

    Args:
        frame: its columns in order.
        ids: the item ids in the order of the rows.
        path: where it was read, for messages.
    """

    frame: pl.DataFrame
    ids: tuple[str, ...]
    path: Path

    def column(self, name: str) -> dict[str, str | None]:
        """A column by item id, in the order of the rows.

        Raises:
            ValueError: there is no such column, or it holds anything but texts and whole numbers.
        """
        if name not in self.frame.columns:
            raise ValueError(f"{self.path} has no column {name!r}; its columns are {self.frame.columns}")
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
        return ItemTable(self.frame.with_columns(column), self.ids, self.path)

    def write(self, path: Path) -> None:
        """As ``.csv``, ``.tsv`` or ``.parquet``, by the ending of the path; whole or not at all.

        Raises:
            ValueError: another ending, or lists that only Parquet holds.
            OSError: it cannot be written.
        """
        check_ending(path)
        nested = [name for name, kind in self.frame.schema.items() if kind.is_nested()]
        if nested and path.suffix.lower() != ".parquet":
            raise ValueError(f"{path} cannot hold the lists in column {nested[0]!r}; give it the ending .parquet")
        with replacing(path) as temporary:
            if path.suffix.lower() == ".parquet":
                self.frame.write_parquet(temporary)
            else:
                self.frame.write_csv(temporary, separator="\t" if path.suffix.lower() == ".tsv" else ",")


def check_ending(path: Path) -> None:
    """Make sure that a table can be written there.

    Raises:
        ValueError: another ending than ``.csv``, ``.tsv`` or ``.parquet``.
    """
    if path.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise ValueError(f"{path} must end in .csv, .tsv or .parquet")


def read_items(path: Path, id_column: str | None = None) -> ItemTable:
    """The items in a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Args:
        path: the file.
        id_column: the ids; guessed from the usual names if left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, no such column, or an id that is missing or there twice.
    """
    frame = scan(path)
    names = columns_of(frame, path)
    column = id_column or guess(names, ITEM_NAMES, path, "item")
    if column not in names:
        raise ValueError(f"{path} has no column {column!r}; its columns are {names}")
    table = select(frame, path, {name: name for name in names})
    ids = as_text(table[column], path)
    if missing := int((ids.is_null() | (ids == "")).sum()):
        raise ValueError(f"{path} has {missing} of {len(ids)} rows without an item id; fill them in")
    if repeated := int(ids.is_duplicated().sum()):
        raise ValueError(f"{path} has {repeated} rows that share their {column}; keep one row an item")
    return ItemTable(table, tuple(ids.to_list()), path)
