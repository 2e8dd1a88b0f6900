"""A connection to a database whose errors are one line without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from flatrec.inference.export.database.address import Address, parse_address
from flatrec.inference.export.database.backend import Backend
from flatrec.utils.messages import clipped

_LONGEST = 200  # characters of a reason; the driver's own words may be many


@contextmanager
def open_database(url: str, table: str, lock_timeout: float) -> Iterator[Backend]:
    """Connect to a database until the block ends; errors of the database inside the block become one line.

    Args:
        url: SQLAlchemy URL.
        table: name of the table, for messages.
        lock_timeout: seconds to wait for a lock of another session.

    Raises:
        ValueError: it is not the URL of a SQLite file or a PostgreSQL database, or the database refuses a value.
        ConnectionError: the database cannot be reached, or went away.
        PermissionError: a right is missing.
        TimeoutError: another session kept a lock for too long.
        OSError: the disk of the database is full.
    """
    address = parse_address(url)
    backend = _backend(address)
    engine = backend.create_engine(address, lock_timeout)
    try:
        connection = _connect(backend, engine, address)
        try:
            yield backend(address, connection)
        except Exception as error:
            driver_error = _driver_error(error)
            if driver_error is None:
                raise
            kind, reason, advice = backend.failure(driver_error)
            reason = _one_line(reason, address)
            raise kind(f"table {clipped(table, 140)} of {address.shown}: {reason}; {advice}") from None
        finally:
            _close(connection)
    finally:
        engine.dispose()


def _backend(address: Address) -> type[Backend]:
    if address.url.get_backend_name() == "sqlite":
        from flatrec.inference.export.database.sqlite import SQLite

        return SQLite
    from flatrec.inference.export.database.postgresql import PostgreSQL

    return PostgreSQL


def _connect(backend: type[Backend], engine: Engine, address: Address) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        kind, reason, advice = backend.failure(error.orig if isinstance(error.orig, Exception) else error)
        if kind is ConnectionError:
            advice = "correct the URL, or start the server"
        raise kind(f"cannot connect to {address.shown}: {_one_line(reason, address)}; {advice}") from None
    except ValueError as error:  # an option of the URL that the driver cannot read
        raise ValueError(f"cannot connect to {address.shown}: {_one_line(str(error), address)}") from None


def _close(connection: Connection) -> None:
    try:
        connection.close()
    except SQLAlchemyError:  # the database went away, which has been said
        connection.invalidate()


def _driver_error(error: Exception) -> Exception | None:
    """Return the error of the driver that an error is or contains; None for an error that is no database's."""
    if isinstance(error, DBAPIError):
        return error.orig if isinstance(error.orig, Exception) else error
    is_of_database = isinstance(error, SQLAlchemyError) or type(error).__module__.partition(".")[0] == "psycopg"
    return error if is_of_database else None


def _one_line(reason: str, address: Address) -> str:
    return clipped(" ".join(address.conceal(reason).split()), _LONGEST)
