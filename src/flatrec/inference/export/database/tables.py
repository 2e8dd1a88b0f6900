"""Replace the rows of a table by those of an export, and delete users from a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from flatrec.inference.export.schema import Schema
from flatrec.utils.optional import require_extra

LOCK_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True)
class TableExport:
    """What an export into a table did.

    Attributes:
        rows: rows of the table after the export.
        seconds: duration of this call.
        first_block: number of the first block that this call wrote; above 0 if it continued a stopped export.
    """

    rows: int
    seconds: float
    first_block: int


def export_table(
    url: str,
    table: str,
    schema: Schema,
    blocks: Callable[[int], Iterator[pl.DataFrame]],
    *,
    generation: str,
    key: Sequence[str] = (),
    comment: str = "",
    lock_timeout: float = LOCK_TIMEOUT,
) -> TableExport:
    """Replace the rows of a table by those of an export, in one transaction.

    The blocks first go into a staging table beside the table. Each block is committed together with its number, so that
    a call with the same generation after a kill continues behind the last committed block; a staging table of another
    generation is dropped. One transaction then deletes the rows of the table, inserts those of the staging table and
    drops the staging table.

    Why the rows are deleted and inserted: readers are not blocked, and each of their statements sees all old rows or
    all new ones; the table itself stays, and with it indexes, grants, views, triggers, constraints and comments. A
    second table that is renamed into the place of the first one would lose grants, and views would still read the old
    table. TRUNCATE is faster, but it blocks readers, and a PostgreSQL transaction that began before it sees an empty
    table. The price is that deleted rows take up space until they are vacuumed, which is done at the end: a PostgreSQL
    table takes up to twice the space of its rows.

    Memory is that of one block.

    Args:
        url: SQLAlchemy URL of the database, such as ``sqlite:///shop.db`` or ``postgresql://user@host/name``.
        table: name of the table, or ``schema.table``. A table that does not exist is created, visible from the moment
            that it is complete. An existing one needs the columns of the schema; it may have others if they have
            defaults or may be null.
        schema: names and types of the columns of all blocks; text, integers, floats and booleans.
        blocks: returns the blocks from a block number on, counted from 0; none if the number is that of the end. The
            blocks of one generation are always the same.
        generation: digest of everything that determines the blocks.
        key: columns of the primary key of a new table; the first two by default.
        comment: what a new table contains; kept by PostgreSQL.
        lock_timeout: seconds to wait for a lock of another session.

    Raises:
        ValueError: the URL or the table does not fit, or the database refuses a value.
        ConnectionError: the database cannot be reached, or went away.
        PermissionError: a right is missing.
        TimeoutError: another session kept a lock for too long.
        OSError: the disk of the database is full; another export writes into the table.
        ModuleNotFoundError: the driver is not installed.
    """
    require_drivers(url)
    from flatrec.inference.export.database.connection import open_database
    from flatrec.inference.export.database.staging import open_staging, swap
    from flatrec.inference.export.database.target import find_target

    started = time.perf_counter()
    with open_database(url, table, lock_timeout) as database:
        name = database.resolve(table)
        with database.lock(name):
            target = find_target(database, name, schema, key=key or tuple(schema)[:2], comment=comment)
            staging = open_staging(database, target, generation)
            first_block = staging.next_block
            for block in blocks(first_block):
                staging.append(block)
            swap(staging)
        database.clean_up(name)
    return TableExport(staging.n_rows, time.perf_counter() - started, first_block)


def delete_users(
    url: str, table: str, users: Sequence[str], *, column: str = "user_id", lock_timeout: float = LOCK_TIMEOUT
) -> int:
    """Delete the rows of users from a table, in one transaction, and return the number of rows.

    The staging table of a stopped export is dropped as well, since its rows would come back with the next export.

    Args:
        url: SQLAlchemy URL of the database.
        table: name of the table, or ``schema.table``.
        users: user ids.
        column: the column with the user ids.
        lock_timeout: seconds to wait for a lock of another session.

    Raises:
        ValueError: the URL is wrong, or the table does not exist or has no such column.
        ConnectionError: the database cannot be reached, or went away.
        PermissionError: a right is missing.
        TimeoutError: another session kept a lock for too long.
        OSError: the disk of the database is full; an export writes into the table.
        ModuleNotFoundError: the driver is not installed.
    """
    require_drivers(url)
    from flatrec.inference.export.database.connection import open_database
    from flatrec.inference.export.database.user_rows import delete_rows

    with open_database(url, table, lock_timeout) as database:
        name = database.resolve(table)
        with database.lock(name):
            n_rows = delete_rows(database, name, column, users)
        database.clean_up(name)
    return n_rows


def require_drivers(url: str) -> None:
    """Check that the packages for a database are installed.

    Raises:
        ModuleNotFoundError: a package is missing.
    """
    if not url.startswith("postgres"):
        require_extra("sqlalchemy", "sql")
        return
    require_extra("sqlalchemy", "postgresql")
    try:
        require_extra("psycopg", "postgresql")
    except ModuleNotFoundError:
        raise
    except ImportError:  # psycopg without its binary part, on a machine without PostgreSQL's client library
        raise ModuleNotFoundError("psycopg finds no client library; pip install 'flatrec[postgresql]'") from None
