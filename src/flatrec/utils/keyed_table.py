"""A SQLite file with one table of rows by key, for results that took long or cost money.

No cache library is used: those on disk unpickle (diskcache, also with JSON), evict rows, or do not notice damage.
"""

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

_KEYS_PER_QUERY = 500
_PATIENCE = 60.0  # seconds to wait for another process that has locked the file
_PAUSE = 0.02  # seconds between two attempts, in which Ctrl-C works
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REASONS = {  # by SQLite's result code: what it means, and what to do
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
    sqlite3.SQLITE_IOERR: ("the disk fails or is full", "free some space"),
    **dict.fromkeys(_LOCKED, ("another process keeps it locked", "wait for other processes")),
    sqlite3.SQLITE_READONLY: ("it cannot be written to", "make it writable"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "make it readable and writable"),
    **dict.fromkeys(
        (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR),  # ERROR: the table has other columns
        ("it is damaged, or was not made by flatrec", "delete the file"),
    ),
}
_logger = logging.getLogger(__name__)


class KeyedTable:
    """A table of rows by key; rows that were stored survive a kill.

    Several processes may use the file at once. Each row has a digest; a damaged row counts as missing, with one warning
    for all of them. Rows from before there were digests are not read.

    Args:
        path: the file, created if it does not exist; None keeps the rows in memory only.
        name: the name of the rows in messages.
        columns: the columns of a row besides its key, in SQL, such as ``value blob not null``.

    Raises:
        OSError: the file cannot be created or opened, or was not made by flatrec.
    """

    def __init__(self, path: Path | None, name: str, columns: Sequence[str]) -> None:
        self.path, self.name, self.table, self.width = path, name, table_of(name), 2 + len(columns)
        self._warned = False
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(":memory:" if path is None else path, timeout=0)
            self._retry_if_locked(lambda: self._database.execute("pragma journal_mode = wal"))
            if not self._has_table(self.table) and self._has_table(name):
                _logger.warning(
                    "the %s in %s are from before flatrec kept digests of them; they are not used any more", name, path
                )
            layout = ", ".join(("key blob primary key", *columns, "digest text not null"))
            self._retry_if_locked(
                lambda: self._database.execute(f"create table if not exists {self.table} ({layout}) without rowid")
            )
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def rows(self, keys: Sequence[bytes]) -> Iterator[tuple[Cell, ...]]:
        """Yield the rows of some keys, without missing and damaged ones, in no particular order.

        Raises:
            OSError: the file is damaged.
        """
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            for *cells, stored in self._select(keys[start : start + _KEYS_PER_QUERY]):
                if stored == _digest(cells):
                    yield tuple(cells)
                elif not self._warned:
                    self._warned = True
                    _logger.warning("some of the %s in %s are damaged; they are computed again", self.name, self.path)

    def put(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """Store rows, all of them or none; they replace rows with the same keys.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        command = f"insert or replace into {self.table} values ({_marks(self.width)})"  # noqa: S608
        complete = [(*cells, _digest(cells)) for cells in rows]

        def insert() -> None:
            with self._database:
                self._database.executemany(command, complete)

        try:
            self._retry_if_locked(insert)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _select(self, keys: Sequence[bytes]) -> list[tuple[Cell, ...]]:
        query = f"select * from {self.table} where key in ({_marks(len(keys))})"  # noqa: S608
        try:
            return self._retry_if_locked(lambda: self._database.execute(query, keys).fetchall())
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _has_table(self, table: str) -> bool:
        query = "select count(*) from sqlite_master where type = 'table' and name = ?"
        (count,) = self._retry_if_locked(lambda: self._database.execute(query, (table,)).fetchone())
        return bool(count)

    @staticmethod
    def _retry_if_locked(act: Callable[[], _Result]) -> _Result:
        """Repeat an action while another process locks the file; SQLite's own waiting cannot be interrupted."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if sqlite_code(error) not in _LOCKED or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)

    def _unusable(self, error: Exception) -> OSError:
        default = (str(getattr(error, "strerror", None) or error)[:100], "wait for other processes and free some space")
        reason, advice = _REASONS.get(sqlite_code(error), default)
        return OSError(
            f"the {self.name} in {self.path} cannot be used ({reason}); {advice}, or set {VARIABLE} to another folder, "
            "or to off"
        )


def sqlite_code(error: BaseException | None) -> int:
    """Return the primary result code of the SQLite error behind an exception; 0 if SQLite did not raise it."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def table_of(name: str) -> str:
    """Return the name of the table in the file; tables from before there were digests had another one."""
    return f"{name}_with_digests"


def _digest(cells: Sequence[Cell]) -> str:
    return digest(*(cell if isinstance(cell, bytes) else repr(cell) for cell in cells))


def _marks(count: int) -> str:
    return ",".join("?" * count)
