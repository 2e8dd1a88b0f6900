"""A SQLite file with one table of rows by key, for what took long or cost money to get."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from flatrec.caching import VARIABLE

Cell: TypeAlias = bytes | str | int | None

_AT_ONCE = 500  # keys a query
_PATIENCE = 60.0  # seconds that another process may hold the file
_DAMAGED = ("malformed", "not a database", "no such column", "has no column", "columns but")


class KeyedTable:
    """Rows whose first column is their key; what was put in survives a kill.

    Several processes may use the file at once.

    Args:
        path: made where it is not there; None keeps nothing beyond this object.
        name: of the table.
        columns: of a row behind its key, as SQL, such as ``value blob not null``.

    Raises:
        OSError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path | None, name: str, columns: Sequence[str]) -> None:
        self.path, self.name, self.width = path, name, 1 + len(columns)
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(":memory:" if path is None else path, timeout=_PATIENCE)
            self._share()
            layout = ", ".join(("key blob primary key", *columns))
            self._database.execute(f"create table if not exists {name} ({layout}) without rowid")
        except (sqlite3.Error, OSError) as error:
            raise self._lost(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def rows(self, keys: Sequence[bytes]) -> Iterator[tuple[Cell, ...]]:
        """Those that are there, in no particular order.

        Raises:
            OSError: the file is damaged.
        """
        try:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                query = f"select * from {self.name} where key in ({_marks(len(some))})"  # noqa: S608
                with closing(self._database.execute(query, some)) as rows:
                    yield from rows
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def put(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """Keep rows, all or none of them, in the place of those with their keys.

        Raises:
            OSError: the disk is full, or the file is damaged.
        """
        try:
            with self._database:
                command = f"insert or replace into {self.name} values ({_marks(self.width)})"  # noqa: S608
                self._database.executemany(command, rows)
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def _share(self) -> None:
        """Let several processes use the file; while one of them does this, the others are not made to wait."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._database.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def _lost(self, error: Exception) -> OSError:
        damaged = any(sign in str(error) for sign in _DAMAGED)
        advice = "delete the file" if damaged else "wait for other processes and free space on the disk"
        return OSError(
            f"the {self.name} in {self.path} cannot be used ({error}); {advice}, or set {VARIABLE} to another folder, "
            "or to off"
        )


def _marks(count: int) -> str:
    return ",".join("?" * count)
