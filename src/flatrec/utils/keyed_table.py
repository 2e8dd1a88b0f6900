"""A SQLite file with one table of rows by key, for what took long or cost money to get."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from flatrec.utils.cache_dir import VARIABLE
from flatrec.utils.integrity import digest

Cell: TypeAlias = bytes | str | int | None
_Result = TypeVar("_Result")

_AT_ONCE = 500  # keys a query
_PATIENCE = 60.0  # seconds that another process may hold the file
_PAUSE = 0.02  # seconds between two looks whether it still does, in which the keyboard can interrupt
_REASONS = {  # by what SQLite says: what it means, and what to do
    "full": ("the disk is full", "free some space"),
    "disk i/o": ("the disk fails or is full", "free some space"),
    "locked": ("another process keeps it locked", "wait for other processes"),
    "readonly": ("it cannot be written to", "make it writable"),
    "unable to open": ("it cannot be opened", "make it readable and writable"),
    **dict.fromkeys(
        ("malformed", "not a database", "no such column", "has no column", "columns but"),
        ("it is damaged, or none of ours", "delete the file"),
    ),
}
_logger = logging.getLogger(__name__)


class KeyedTable:
    """Rows whose first column is their key; what was put in survives a kill.

    Several processes may use the file at once. Each row carries a digest, and one that is not as it was put in counts
    as not there, with one warning for all of them; so do rows from before there were digests.

    Args:
        path: made where it is not there; None keeps nothing beyond this object.
        name: what messages call the rows.
        columns: of a row behind its key, as SQL, such as ``value blob not null``.

    Raises:
        OSError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path | None, name: str, columns: Sequence[str]) -> None:
        self.path, self.name, self.table, self.width = path, name, table_of(name), 2 + len(columns)
        self._warned = False
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(":memory:" if path is None else path, timeout=0)
            self._patiently(lambda: self._database.execute("pragma journal_mode = wal"))
            if not self._is_there(self.table) and self._is_there(name):
                _logger.warning(
                    "the %s in %s are from before flatrec kept digests of them; they are not used any more", name, path
                )
            layout = ", ".join(("key blob primary key", *columns, "digest text not null"))
            self._patiently(
                lambda: self._database.execute(f"create table if not exists {self.table} ({layout}) without rowid")
            )
        except (sqlite3.Error, OSError) as error:
            raise self._lost(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def rows(self, keys: Sequence[bytes]) -> Iterator[tuple[Cell, ...]]:
        """Those that are there and as they were put in, in no particular order.

        Raises:
            OSError: the file is damaged.
        """
        for start in range(0, len(keys), _AT_ONCE):
            for *cells, found in self._some(keys[start : start + _AT_ONCE]):
                if found == _digest(cells):
                    yield tuple(cells)
                elif not self._warned:
                    self._warned = True
                    _logger.warning("some of the %s in %s are damaged; these are made again", self.name, self.path)

    def put(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """Keep rows, all or none of them, in the place of those with their keys.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        command = f"insert or replace into {self.table} values ({_marks(self.width)})"  # noqa: S608
        complete = [(*cells, _digest(cells)) for cells in rows]

        def insert() -> None:
            with self._database:
                self._database.executemany(command, complete)

        try:
            self._patiently(insert)
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def _some(self, keys: Sequence[bytes]) -> list[tuple[Cell, ...]]:
        query = f"select * from {self.table} where key in ({_marks(len(keys))})"  # noqa: S608
        try:
            return self._patiently(lambda: self._database.execute(query, keys).fetchall())
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def _is_there(self, table: str) -> bool:
        query = "select count(*) from sqlite_master where type = 'table' and name = ?"
        (count,) = self._patiently(lambda: self._database.execute(query, (table,)).fetchone())
        return bool(count)

    @staticmethod
    def _patiently(act: Callable[[], _Result]) -> _Result:
        """Try again as long as another process holds the file; SQLite's own waiting cannot be interrupted."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)

    def _lost(self, error: Exception) -> OSError:
        said = str(error).lower() if isinstance(error, sqlite3.Error) else ""
        usual = (str(getattr(error, "strerror", None) or error)[:100], "wait for other processes and free some space")
        reason, advice = next((words for sign, words in _REASONS.items() if sign in said), usual)
        return OSError(
            f"the {self.name} in {self.path} cannot be used ({reason}); {advice}, or set {VARIABLE} to another folder, "
            "or to off"
        )


def table_of(name: str) -> str:
    """What the table is called in the file: another name than before there were digests."""
    return f"{name}_with_digests"


def _digest(cells: Sequence[Cell]) -> str:
    return digest(*(cell if isinstance(cell, bytes) else repr(cell) for cell in cells))


def _marks(count: int) -> str:
    return ",".join("?" * count)
