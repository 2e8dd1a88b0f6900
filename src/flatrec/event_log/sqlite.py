"""A log of events in a SQLite file with a write-ahead log: one process writes at a time, and none waits to read."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

from flatrec.event_log.pool import Pool
from flatrec.event_log.store import (
    COLUMNS,
    ROWS,
    SCHEMA,
    TABLE,
    Event,
    EventStore,
    LogFullError,
    LogUnavailableError,
    UserEvent,
)

_ATTEMPTS = (0.0005, 0.003)  # seconds between two attempts to write
LEAST_SPACE = 64 * 1024  # bytes; with less, a failure of the disk means that it is full
_CREATE = (
    f'CREATE TABLE {TABLE} (number INTEGER PRIMARY KEY AUTOINCREMENT, "user" TEXT NOT NULL, '
    "item TEXT NOT NULL, event TEXT NOT NULL, time INTEGER NOT NULL, id TEXT UNIQUE)",
    f'CREATE INDEX {TABLE}_by_user ON {TABLE} ("user", time)',
)
_INSERT = f'INSERT INTO {TABLE} ("user", item, event, time, id) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING'
_FOREIGN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_logger = logging.getLogger(__name__)


class _Connection(sqlite3.Connection):
    """A connection that knows which file it is to."""

    file: tuple[int, int] = (0, 0)


class SQLiteStore(EventStore):
    """A log in a SQLite file.

    Args:
        path: the file.
        seconds: time to wait for another process that writes.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._pool = Pool(self._connect, self._is_current)

    def prepare(self, *, create: bool) -> None:
        """Make the file and the table if they are not there, and check that the table is a log."""
        path = self._path
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {path.parent} for the log of events; create it first")
        if not create and not path.is_file():
            raise FileNotFoundError(f"there is no log of events {path}; flatrec serve --events makes one")
        with self._errors():
            if create:
                self._create()
            with self._pool.connection() as connection:
                columns = _columns(connection)
        if columns != COLUMNS:
            found = f"has the columns {', '.join(columns)}" if columns else "is not there"
            raise ValueError(
                f"{path} must hold the table {TABLE} of the columns {', '.join(COLUMNS)}, but the table {found}; "
                "choose another file"
            )
        if create:
            self._check_writable()

    def _check_writable(self) -> None:
        """Refuse a log that no event could ever be written to.

        Raises:
            ValueError: the file is read-only, or ids of events are not unique.
        """
        with self._errors(), self._pool.connection() as connection:
            (read_only,) = connection.execute("PRAGMA query_only").fetchone()
            unique = [row[1] for row in connection.execute(f"PRAGMA index_list({TABLE})") if row[2]]
            columns = [[row[2] for row in connection.execute(f"PRAGMA index_info({name})")] for name in unique]
        if read_only or not os.access(self._path, os.W_OK):
            raise ValueError(f"{self._path} must be writable, as events are written into it; change its permissions")
        if ["id"] not in columns:
            raise ValueError(f"the column id of {TABLE} in {self._path} must be UNIQUE; choose another file")

    def append(self, events: Sequence[Event]) -> int:
        """Write events in one transaction, which is on the disk when this returns."""
        with self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, events)
            return connection.total_changes - before

    def newest(
        self, users: Sequence[str], count: int, names: Collection[str] | None = None
    ) -> Mapping[str, Sequence[UserEvent]]:
        """Return the newest events of users, by an index."""
        chosen = "" if names is None else f"AND event IN ({', '.join('?' * len(names))})"
        query = (
            f'SELECT item, event FROM {TABLE} WHERE "user" = ? {chosen} '  # noqa: S608
            "ORDER BY time DESC, number DESC LIMIT ?"
        )
        found = {}
        with self._errors(), self._pool.connection() as connection:
            for user in dict.fromkeys(users):
                rows = connection.execute(query, (user, *(names or ()), count)).fetchall()
                if rows:
                    found[user] = [UserEvent(*row) for row in rows]
        return found

    def last_number(self) -> int:
        """Return the number of the last event."""
        with self._errors(), self._pool.connection() as connection:
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (TABLE,)).fetchone()
        return int(found[0]) if found else 0

    def until(self, number: int) -> pl.DataFrame:
        """Return all events up to a number."""
        query = (
            f'SELECT number, "user", item, event, time FROM {TABLE} '  # noqa: S608
            "WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
        )
        frames, last = [pl.DataFrame(schema=SCHEMA)], 0
        with self._errors(), self._pool.connection() as connection:
            while rows := connection.execute(query, (last, number, ROWS)).fetchall():
                last = rows[-1][0]
                frames.append(pl.DataFrame([row[1:] for row in rows], schema=SCHEMA, orient="row"))
        return pl.concat(frames)

    def forget(self, users: Sequence[str]) -> int:
        """Delete the events of users; their pages are overwritten, in the file and in its write-ahead log."""
        with self._transaction() as connection:
            connection.execute("PRAGMA secure_delete = ON")
            before = connection.total_changes
            connection.executemany(f'DELETE FROM {TABLE} WHERE "user" = ?', [(user,) for user in users])  # noqa: S608
            removed = connection.total_changes - before
        with self._errors(), self._pool.connection() as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            _logger.warning(
                "%s: the events are deleted, but %s-wal still holds them, as somebody reads the log; it is overwritten "
                "as events come",
                self._path,
                self._path.name,
            )
        return removed

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that is the only one to write until the block ends; errors undo what it wrote."""
        with self._errors(), self._pool.connection() as connection:
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin to write as soon as nobody else does.

        SQLite itself waits longer and longer between its attempts, so that of many writers some wait for seconds.
        """
        end = time.monotonic() + self._seconds
        connection.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(random.uniform(*_ATTEMPTS))
            else:
                connection.execute(f"PRAGMA busy_timeout = {round(1000 * self._seconds)}")
                return

    def _create(self) -> None:
        """Make the file and the table if they are not there.

        Raises:
            ValueError: the disk does not allow for a write-ahead log.
        """
        with closing(self._opened("rwc")) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ValueError(
                f"{self._path} cannot have a write-ahead log, which a log of events needs; choose a file on a disk of "
                "this machine"
            )
        with self._transaction() as connection:
            for statement in () if _columns(connection) else _CREATE:
                connection.execute(statement)

    def _connect(self) -> _Connection:
        """Return a connection to the file, which is never made here: one that was removed is no empty log."""
        connection = self._opened("rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # which macOS needs for the same
            connection.file = _identity(self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, mode: str) -> _Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=self._seconds,
            isolation_level=None,
            check_same_thread=False,  # a connection changes threads, but has one at a time
            factory=_Connection,
        )

    def _is_current(self, connection: _Connection) -> bool:
        """Return True if the file is still the one that a connection is to."""
        try:
            return _identity(self._path) == connection.file
        except OSError:
            return False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from None
        except FileNotFoundError as error:
            raise LogUnavailableError(f"the log of events {self._path} cannot be used: {error.strerror}") from None

    def _explained(self, error: sqlite3.Error) -> Exception:
        code = _code(error)
        if code in _FOREIGN:
            return LogUnavailableError(
                f"{self._path} must be a SQLite database, but is none or is damaged ({error}); choose another file, or "
                "restore it from a backup"
            )
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._has_no_space()):
            return LogFullError(f"the disk of {self._path} is full, so that nothing was written; free some space")
        return LogUnavailableError(
            f"the log of events {self._path} cannot be used now: {error}; see to it, or try again"
        )

    def _has_no_space(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free < LEAST_SPACE
        except OSError:
            return False


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _columns(connection: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(row[1] for row in connection.execute(f"PRAGMA table_info({TABLE})"))


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name."""
    found = os.stat(path)
    return found.st_dev, found.st_ino
