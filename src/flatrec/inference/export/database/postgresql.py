"""PostgreSQL: rows come by COPY, and exports lock each other out by an advisory lock."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, cast

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from flatrec.inference.export.database.address import Address
from flatrec.inference.export.database.backend import Backend, Failure, Kind, TableName
from flatrec.inference.export.database.postgresql_failures import explain
from flatrec.utils.integrity import digest
from flatrec.utils.locks import InUseError
from flatrec.utils.messages import clipped, shortlist

_CONNECT_TIMEOUT = 10  # seconds
_CHECK_INTERVAL = 1000  # milliseconds after which the server notices that a client was killed
_PATIENCE = 5  # attempts to get the lock of an export, one per second: the session of a killed export ends meanwhile
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}  # of COPY's text format
_RIGHTS = ("SELECT", "INSERT", "DELETE")
_LOCATE = """
SELECT coalesce(
    (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass(:name)),
    current_schema())
"""
_KIND = "SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"
_REFERENCES = """
SELECT DISTINCT conrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = to_regclass(:name) AND conrelid <> confrelid
"""
_logger = logging.getLogger(__name__)


class PostgreSQL(Backend):
    """An open connection to a PostgreSQL database."""

    longest_name: ClassVar[int | None] = 63

    @staticmethod
    def create_engine(address: Address, lock_timeout: float) -> Engine:
        """Return an engine whose connections wait that many seconds for locks."""
        timeout = {} if "connect_timeout" in address.url.query else {"connect_timeout": _CONNECT_TIMEOUT}
        engine = sa.create_engine(address.url, poolclass=NullPool, hide_parameters=True, connect_args=timeout)

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: psycopg.Connection, record: object) -> None:
            del record
            _prepare(connection, lock_timeout)

        return engine

    @staticmethod
    def failure(error: Exception) -> Failure:
        """Explain an error of psycopg."""
        return explain(error)

    def resolve(self, table: str) -> TableName:
        """Return the name of a table with the schema that it has, or else with the first one of the search path.

        Raises:
            ValueError: no table can have such a name.
        """
        parts = table.split(".")
        if len(parts) > 2 or not all(0 < len(part.encode()) <= 63 and "\0" not in part for part in parts):
            raise ValueError(
                f"{clipped(table)!r} is not the name of a table; write table or schema.table, each of at most 63 bytes"
            )
        if len(parts) == 2:
            return TableName(*parts)
        with self.connection.begin():
            schema = self.connection.scalar(sa.text(_LOCATE), {"name": _quoted(TableName(None, table))})
        if schema is None:
            raise ValueError(f"the search path has no schema for table {clipped(table)}; write schema.table")
        return TableName(schema, table)

    @contextmanager
    def lock(self, table: TableName) -> Iterator[None]:
        """Lock a table against other exports until the block ends or the session does.

        Raises:
            InUseError: another export has locked it.
        """
        key = int(digest("flatrec export", *map(str, table))[:16], 16) - 2**63
        for attempt in range(_PATIENCE):
            time.sleep(min(attempt, 1))
            with self.connection.begin():
                acquired = self.connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
            if acquired:
                break
        else:
            raise InUseError(f"another export writes into table {table} of {self.address.shown}; wait for it to end")
        yield  # closing the connection releases it, however the block ends

    def kind(self, table: TableName) -> Kind | None:
        """Return what has the name in the database; None if nothing has."""
        kind = self.connection.scalar(sa.text(_KIND), {"name": _quoted(table)})
        return None if kind is None else "table" if kind in ("r", "p") else "other"

    def check_rights(self, table: TableName) -> None:
        """Check that the rows of a table may be replaced.

        Raises:
            PermissionError: a right is missing.
            ValueError: other tables reference it.
        """
        name = {"name": _quoted(table)}
        has_right = sa.text("SELECT has_table_privilege(to_regclass(:name), :right)")
        missing = [right for right in _RIGHTS if not self.connection.scalar(has_right, {**name, "right": right})]
        if missing:
            rights = ", ".join(missing)
            raise PermissionError(f"the user may not {rights} in table {table}; GRANT {rights} ON {table} to the user")
        tables = self.connection.scalars(sa.text(_REFERENCES), name).all()
        if tables:
            raise ValueError(
                f"foreign keys of {shortlist(tables)} reference table {table}, whose rows an export deletes; "
                "drop those keys, or choose another table"
            )

    def create(self, table: TableName, columns: Mapping[str, str], key: Sequence[str] = (), comment: str = "") -> None:
        """Create a table with a comment."""
        self.execute(f"CREATE TABLE {self.quote_table(table)} {self.definition(columns, key)}")
        if comment:
            statement = sql.SQL("COMMENT ON TABLE {} IS {}").format(_identifier(table), sql.Literal(comment))
            self._driver.execute(statement)

    def write(self, table: TableName, block: pl.DataFrame) -> None:
        """Insert the rows of a block by COPY.

        Raises:
            ValueError: a text contains a NUL character.
        """
        texts = [name for name, dtype in block.schema.items() if dtype == pl.String]
        for name in texts:
            _check_no_nul(block[name])
        escaped = block.with_columns(pl.col(texts).str.replace_many(list(_ESCAPES), list(_ESCAPES.values())))
        content = escaped.write_csv(separator="\t", include_header=False, quote_style="never", null_value="\\N")
        copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
            _identifier(table), sql.SQL(", ").join(map(sql.Identifier, block.columns))
        )
        with self._driver.cursor() as cursor, cursor.copy(copy) as stream:
            stream.write(content)

    @property
    def _driver(self) -> psycopg.Connection:
        return cast(psycopg.Connection, self.connection.connection.driver_connection)

    def block_writers(self, table: TableName) -> None:
        """Let no other session write to a table, and let policies hide no rows, until the transaction ends."""
        self.execute("SET LOCAL row_security = off")
        self.execute(f"LOCK TABLE {self.quote_table(table)} IN SHARE ROW EXCLUSIVE MODE")

    def erase_deleted(self) -> None:
        """Do nothing: the vacuum makes deleted rows unreadable, and their space is written over later."""

    def clean_up(self, table: TableName) -> None:
        """Vacuum a table, so that the next export uses the space of deleted rows, and analyze it for the planner.

        TRUNCATE false: giving the space back to the system would lock readers out for a moment, and the next export
        needs the space again.
        """
        try:
            self.connection.execution_options(isolation_level="AUTOCOMMIT")
            self.execute(f"VACUUM (ANALYZE, SKIP_LOCKED, TRUNCATE false) {self.quote_table(table)}")
        except DBAPIError as error:
            _logger.warning("table %s is complete, but was not vacuumed: %s", table, explain(error).reason)


def _prepare(connection: psycopg.Connection, lock_timeout: float) -> None:
    """Set the session's limits.

    A server notices by default only at the end of a statement that its client was killed; until then the lock of the
    export would stay. Servers on systems that cannot do better refuse the setting.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{max(1, round(lock_timeout * 1000))}ms"])
    connection.commit()
    with suppress(psycopg.errors.DataError, psycopg.errors.UndefinedObject), connection.transaction():
        connection.execute("SELECT set_config('client_connection_check_interval', %s, false)", [f"{_CHECK_INTERVAL}ms"])


def _check_no_nul(column: pl.Series) -> None:
    found = column.filter(column.str.contains("\0", literal=True))
    if len(found):
        raise ValueError(
            f"{column.name} {clipped(found[0])!r} contains a NUL character, which PostgreSQL cannot store; "
            "remove it from the ids of the data, or export into a file"
        )


def _identifier(table: TableName) -> sql.Identifier:
    return sql.Identifier(*(part for part in table if part is not None))


def _quoted(table: TableName) -> str:
    """Return a name as to_regclass reads it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table if part is not None)
