"""Lists of ids in files: one id per line, or a column of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from flatrec.data.formats.table import USER_NAMES
from flatrec.data.tables.feature_files import ITEM_NAMES
from flatrec.data.tables.files import TABLE_SUFFIXES, TableRows, scan
from flatrec.data.tables.parquet import is_parquet
from flatrec.data.tables.text import ending
from flatrec.utils.messages import quoted

Kind: TypeAlias = Literal["user", "item"]
_NAMES: dict[Kind, Sequence[str]] = {"user": USER_NAMES, "item": ITEM_NAMES}


def read_ids(file: Path, kind: Kind) -> tuple[str, ...]:
    """Return the ids of users or items in a file, in their order; an id may repeat.

    Args:
        file: a table (``.csv``, ``.tsv``, ``.parquet``) with a column of these ids, or text with one id per line.
        kind: what the ids are of.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or malformed, or has no such column.
    """
    if not is_table(file):
        return _lines(file, kind)
    return _column(_rows(file, [kind]), kind)


def read_item_lists(file: Path) -> tuple[str, ...] | dict[str, list[str]]:
    """Return the ids of items in a file; if it is a table with a column of users too, the items of each user.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or malformed, or has no column of items.
    """
    if not is_table(file) or _named(scan(file, wanted=list(_NAMES.values())).columns, "user") is None:
        return read_ids(file, "item")
    rows = _rows(file, ["user", "item"])
    lists: dict[str, list[str]] = {}
    for user, item in zip(_column(rows, "user"), _column(rows, "item"), strict=True):
        lists.setdefault(user, []).append(item)
    return lists


def is_table(file: Path) -> bool:
    """Return True if the name of a file, or the folder, is one of a table."""
    return is_parquet(file) or ending(file) in TABLE_SUFFIXES


def _rows(file: Path, kinds: Sequence[Kind]) -> TableRows:
    table = scan(file, wanted=[_NAMES[kind] for kind in kinds])
    columns: dict[str, str] = {}
    for kind in kinds:
        column = _named(table.columns, kind)
        if column is None:
            raise ValueError(
                f"{file} has no column of {kind} ids; its columns are {quoted(table.columns)}: name it {kind!r}, or "
                "write one id per line into a .txt file"
            )
        columns[kind] = column
    return table.select(columns)


def _named(columns: Sequence[str], kind: Kind) -> str | None:
    spelled: Mapping[str, str] = {column.lower(): column for column in reversed(columns)}
    return next((spelled[name] for name in _NAMES[kind] if name in spelled), None)


def _column(rows: TableRows, kind: Kind) -> tuple[str, ...]:
    return tuple(rows.ids(kind, rows_without_id=f"rows without a {kind} id").ids.to_list())


def _lines(file: Path, kind: Kind) -> tuple[str, ...]:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not a file; expected one {kind} id per line, or a table")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not a list of ids (byte {error.start} is not UTF-8 text); save it as UTF-8"
        ) from None
    ids = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not ids:
        raise ValueError(f"{file} is empty; expected one {kind} id per line")
    return ids
