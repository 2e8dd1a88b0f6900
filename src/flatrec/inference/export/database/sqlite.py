"""SQLite: one writer at a time; exports lock each other out by a lock on a file beside the database."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, cast

import polars as pl
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from flatrec.inference.export.database.address import Address
from flatrec.inference.export.database.backend import Backend, Failure, Kind, TableName
from flatrec.utils.keyed_table import sqlite_code
from flatrec.utils.locks import InUseError, try_lock
from flatrec.utils.messages import clipped

LOCK = ".flatrec-lock"  # what is appended to the name of the database's file
_CACHE = 64 * 1024  # KiB of pages in memory
_CHECKPOINT_TIMEOUT = 1000  # milliseconds to wait for readers of the log
_CONTINUE = "run the same command again to continue"
_FAILURES = {  # by SQLite's result code; an empty reason stands for SQLite's own words
    sqlite3.SQLITE_FULL: Failure(OSError, "the disk is full", f"free some space and {_CONTINUE}"),
    sqlite3.SQLITE_IOERR: Failure(OSError, "the disk fails or is full", f"free some space and {_CONTINUE}"),
    sqlite3.SQLITE_BUSY: Failure(TimeoutError, "another process kept it locked for too long", _CONTINUE),
    sqlite3.SQLITE_READONLY: Failure(PermissionError, "it cannot be written to", f"make it writable and {_CONTINUE}"),
    sqlite3.SQLITE_CANTOPEN: Failure(PermissionError, "it cannot be opened", "make the file and its folder writable"),
    sqlite3.SQLITE_NOTADB: Failure(ValueError, "the file is not a SQLite database", "choose another file"),
    sqlite3.SQLITE_CORRUPT: Failure(ValueError, "the database is damaged", "restore it from a backup"),
}
_REFUSED = Failure(ValueError, "", f"the table is unchanged; correct it or the data, and {_CONTINUE}")
_logger = logging.getLogger(__name__)


class SQLite(Backend):
    """An open connection to a SQLite file."""

    sorts_by_key: ClassVar[bool] = True  # a table that is stored in this order is smaller, and written faster

    @staticmethod
    def create_engine(address: Address, lock_timeout: float) -> Engine:
        """Return an engine whose connections wait that many seconds for locks.

        A file that does not exist gets a write-ahead log, with which readers are never blocked. An existing file keeps
        the journal that its owner chose.

        Raises:
            FileNotFoundError: the folder of the file does not exist.
        """
        path = _path(address)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {path.parent} for the database; create it, or correct the URL")
        is_new = not path.exists() or path.stat().st_size == 0
        engine = sa.create_engine(
            address.url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": lock_timeout}
        )

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, record: object) -> None:
            del record
            _prepare(connection, is_new=is_new)

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:  # a transaction that reads first could not write later
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    @staticmethod
    def failure(error: Exception) -> Failure:
        """Explain an error of SQLite."""
        found = _FAILURES.get(sqlite_code(error), _REFUSED)
        return found if found.reason else found._replace(reason=str(error))

    def resolve(self, table: str) -> TableName:
        """Return the name of a table; ``main`` is the only schema.

        Raises:
            ValueError: no table can have such a name.
        """
        schema, dot, name = table.rpartition(".")
        if not name or "\0" in name or schema != ("main" if dot else ""):
            raise ValueError(f"{clipped(table)!r} is not the name of a table in SQLite; write the name alone")
        return TableName(None, name)

    @contextmanager
    def lock(self, table: TableName) -> Iterator[None]:
        """Lock the database against other exports until the block or the process ends; the lock file stays.

        Raises:
            InUseError: another export has locked it.
        """
        path = _path(self.address)
        descriptor = os.open(path.with_name(path.name + LOCK), os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            if not try_lock(descriptor):
                raise InUseError(f"another export writes into {path}, not yet into {table}; wait for it to end")
            yield
        finally:
            os.close(descriptor)

    def kind(self, table: TableName) -> Kind | None:
        """Return what has the name in the database; None if nothing has."""
        found = sa.text("SELECT type FROM sqlite_master WHERE name = :name COLLATE NOCASE")
        kind = self.connection.scalar(found, {"name": table.name})
        return None if kind is None else "table" if kind == "table" else "other"

    def check_rights(self, table: TableName) -> None:
        """Do nothing: SQLite has no rights, and enforces foreign keys only where a connection asks for it."""

    def create(self, table: TableName, columns: Mapping[str, str], key: Sequence[str] = (), comment: str = "") -> None:
        """Create a table, stored in the order of its key; SQLite keeps no comments."""
        del comment
        ending = "WITHOUT ROWID" if key else ""
        self.execute(f"CREATE TABLE {self.quote_table(table)} {self.definition(columns, key)} {ending}")

    def write(self, table: TableName, block: pl.DataFrame) -> None:
        """Insert the rows of a block."""
        if block.height:
            columns, marks = ", ".join(map(self.quote, block.columns)), ", ".join("?" * block.width)
            statement = f"INSERT INTO {self.quote_table(table)} ({columns}) VALUES ({marks})"
            self.connection.exec_driver_sql(statement, block.rows())

    def block_writers(self, table: TableName) -> None:
        """Do nothing: a transaction that writes is the only one."""

    def erase_deleted(self) -> None:
        """Let this session overwrite rows that it deletes, so that nothing of them stays in the file."""
        self.execute("PRAGMA secure_delete = ON")

    def clean_up(self, table: TableName) -> None:
        """Copy the write-ahead log, which has the size of the export, into the database, and shorten it."""
        try:
            self._driver.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_TIMEOUT}")
            self._driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # outside a transaction, as SQLite wants it
        except sqlite3.Error as error:
            _logger.warning("table %s is complete, but the log of its database was not shortened: %s", table, error)

    @property
    def _driver(self) -> sqlite3.Connection:
        return cast(sqlite3.Connection, self.connection.connection.driver_connection)


def _prepare(connection: sqlite3.Connection, *, is_new: bool) -> None:
    connection.isolation_level = None  # transactions begin and end where this package says so
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")
    connection.execute("PRAGMA foreign_keys = OFF")  # deleted rows must not take those of other tables with them
    if is_new:
        connection.execute("PRAGMA journal_mode = WAL")


def _path(address: Address) -> Path:
    return Path(address.url.database or "")
