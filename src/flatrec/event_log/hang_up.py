"""A bound on the time for which a server that does not answer is waited for, such as one whose machine is paused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer

import psycopg
from psycopg.rows import TupleRow


@contextmanager
def hanging_up(connection: psycopg.Connection[TupleRow], seconds: float) -> Iterator[None]:
    """Break a connection, with an error of the driver, if the block takes longer than that."""
    timer = Timer(seconds, _break, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _break(connection: psycopg.Connection[TupleRow]) -> None:
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
