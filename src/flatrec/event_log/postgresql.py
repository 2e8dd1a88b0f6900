"""A log of events in a table of a PostgreSQL database."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import polars as pl
import psycopg
from psycopg.abc import Query
from psycopg.rows import TupleRow

from flatrec.event_log.hang_up import hanging_up
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
from flatrec.inference.export.database.address import parse_address
from flatrec.utils.messages import clipped

DISK_FULL = "53100"
_GRACE = 1.0  # seconds beyond those after which the server itself gives up
_LONGEST = 200  # characters of the server's own words
_CREATE = (
    f'CREATE TABLE {TABLE} (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "user" TEXT NOT NULL, '
    "item TEXT NOT NULL, event TEXT NOT NULL, time BIGINT NOT NULL, id TEXT UNIQUE)",
    f'CREATE INDEX {TABLE}_by_user ON {TABLE} ("user", time, number)',
)
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
_INSERT = (
    f'INSERT INTO {TABLE} ("user", item, event, time, id) '
    "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[]) ON CONFLICT (id) DO NOTHING"
)
_NEWEST = (
    'SELECT one."user", found.item, found.event FROM unnest(%s::text[]) AS one("user") CROSS JOIN LATERAL '  # noqa: S608
    f'(SELECT item, event, time, number FROM {TABLE} WHERE "user" = one."user" '
    "AND (%s::text[] IS NULL OR event = ANY(%s::text[])) ORDER BY time DESC, number DESC LIMIT %s) AS found "
    "ORDER BY found.time DESC, found.number DESC"
)
_UNTIL = (
    f'SELECT number, "user", item, event, time FROM {TABLE} '  # noqa: S608
    "WHERE number > %s AND number <= %s ORDER BY number LIMIT %s"
)
_Connection: TypeAlias = psycopg.Connection[TupleRow]


class PostgreSQLStore(EventStore):
    """A log in a PostgreSQL database, in the first schema of its search path.

    Args:
        url: the URL of the database, which may have a password.
        seconds: time to wait for the server, and for locks of other sessions.

    Raises:
        ValueError: it is no URL of PostgreSQL.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._address, self._seconds = parse_address(url), seconds
        self._pool = Pool(self._connect, self._answers)

    def prepare(self, *, create: bool) -> None:
        """Make the table if it is not there, and check that it is a log and takes texts of all languages."""
        shown = self._address.shown
        with self._session() as connection:
            (encoding,) = _row(connection, "SHOW server_encoding")
            columns = _columns(connection)
            if not columns and create:
                _create(connection)
                columns = _columns(connection)
        encoding = encoding.decode() if isinstance(encoding, bytes) else encoding  # in SQL_ASCII there are no texts
        if encoding != "UTF8":
            raise ValueError(f"{shown} must be in UTF8, but is in {encoding}; create the database in UTF8")
        if not columns:
            raise FileNotFoundError(f"{shown} has no table {TABLE}; flatrec serve makes it")
        if columns != COLUMNS:
            raise ValueError(
                f"the table {TABLE} of {shown} must have the columns {', '.join(COLUMNS)}, but has "
                f"{', '.join(columns)}; choose another database or schema"
            )

    def append(self, events: Sequence[Event]) -> int:
        """Write events by one statement, whose effect the server has on its disk when this returns."""
        columns = [list(column) for column in zip(*events, strict=True)]
        with self._session() as connection:
            return connection.execute(_INSERT, columns).rowcount if events else 0

    def newest(
        self, users: Sequence[str], count: int, names: Collection[str] | None = None
    ) -> Mapping[str, Sequence[UserEvent]]:
        """Return the newest events of users, in one query."""
        chosen = None if names is None else list(names)
        found: dict[str, list[UserEvent]] = {}
        with self._session() as connection:
            rows = connection.execute(_NEWEST, (list(dict.fromkeys(users)), chosen, chosen, count)).fetchall()
        for user, item, event in rows:
            found.setdefault(user, []).append(UserEvent(item, event))
        return found

    def last_number(self) -> int:
        """Return the number of the last event, after all that have a number already are written or given up."""
        with self._session() as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {TABLE} IN SHARE MODE")
            (number,) = _row(connection, f"SELECT coalesce(max(number), 0) FROM {TABLE}")  # noqa: S608
        return int(number)

    def until(self, number: int) -> pl.DataFrame:
        """Return all events up to a number."""
        frames, last = [pl.DataFrame(schema=SCHEMA)], 0
        with self._errors(), self._pool.connection() as connection:
            while rows := connection.execute(_UNTIL, (last, number, ROWS)).fetchall():
                last = rows[-1][0]
                frames.append(pl.DataFrame([row[1:] for row in rows], schema=SCHEMA, orient="row"))
        return pl.concat(frames)

    def forget(self, users: Sequence[str]) -> int:
        """Delete the events of users, and make their space usable again."""
        with self._errors(), self._pool.connection() as connection:
            removed = connection.execute(f'DELETE FROM {TABLE} WHERE "user" = ANY(%s)', (list(users),)).rowcount  # noqa: S608
            connection.execute("SET statement_timeout = 0")
            connection.execute(f"VACUUM {TABLE}")
        return removed

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _connect(self) -> _Connection:
        url = self._address.url.set(drivername="postgresql")
        options = {"connect_timeout": math.ceil(self._seconds), "tcp_user_timeout": math.ceil(1000 * self._seconds)}
        url = url.update_query_dict({name: str(value) for name, value in options.items() if name not in url.query})
        connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        try:
            with hanging_up(connection, self._seconds + _GRACE):
                connection.execute("SET synchronous_commit = on")
                for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
                    connection.execute(f"SET {name} = {math.ceil(1000 * self._seconds)}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _session(self) -> Iterator[_Connection]:
        """Yield a connection for a call that somebody waits for."""
        with self._errors(), self._pool.connection() as connection, hanging_up(connection, self._seconds + _GRACE):
            yield connection

    def _answers(self, connection: _Connection) -> bool:
        """Return True if a connection that waited still leads to the server."""
        try:
            with hanging_up(connection, self._seconds):
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._explained(error) from None

    def _explained(self, error: psycopg.Error) -> Exception:
        shown = self._address.shown
        if error.sqlstate == DISK_FULL:
            return LogFullError(f"the disk of {shown} is full, so that nothing was written; free some space")
        reason = clipped(self._address.conceal(" ".join(str(error).split())), _LONGEST)
        return LogUnavailableError(
            f"the log of events in {shown} cannot be used now: {reason}; see to it, or try again"
        )


def _columns(connection: _Connection) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in connection.execute(_COLUMNS, (TABLE,)).fetchall())


def _create(connection: _Connection) -> None:
    """Make the table, unless another process just did."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (TABLE,))
        for statement in () if _columns(connection) else _CREATE:
            connection.execute(statement)


def _row(connection: _Connection, query: Query) -> TupleRow:
    row = connection.execute(query).fetchone()
    assert row is not None  # of such a query there is always one
    return row
