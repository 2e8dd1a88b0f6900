"""Open connections that wait for the next thread that needs one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar, runtime_checkable


@runtime_checkable
class Closing(Protocol):
    """A connection of any driver."""

    def close(self) -> None:
        """Close it."""


Connection = TypeVar("Connection", bound=Closing)


class Pool(Generic[Connection]):
    """As many connections as there ever were threads at the same time; a thread has one for itself.

    Args:
        connect: opens a connection.
        usable: returns True if a connection that waited can still be used.
    """

    def __init__(self, connect: Callable[[], Connection], usable: Callable[[Connection], bool]) -> None:
        self._connect, self._usable = connect, usable
        self._idle: deque[Connection] = deque()  # appending and popping are atomic

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection; one that an error left in an unknown state is closed."""
        connection = self._waiting() or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that wait."""
        while (connection := self._popped()) is not None:
            connection.close()

    def _waiting(self) -> Connection | None:
        while (connection := self._popped()) is not None:
            if self._usable(connection):
                return connection
            connection.close()
        return None

    def _popped(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
