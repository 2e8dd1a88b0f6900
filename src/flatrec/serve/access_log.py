"""The access log: one line of JSON per request, without ids of users and items unless they are asked for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from msgspec import Struct, json


class AccessLine(Struct, frozen=True, omit_defaults=True):
    """What is written of a request.

    Args:
        time: when it ended.
        method: its method.
        path: the path of its operation, such as ``/v1/recommend/{user}``; of an unknown one, empty.
        status: the status of the answer; 499 if the client had gone.
        milliseconds: time from its headers to the end of its answer.
        address: its path and query as they were sent, only if users may be logged.
    """

    time: datetime
    method: str
    path: str
    status: int
    milliseconds: float
    address: str = ""


@runtime_checkable
class ByteStream(Protocol):
    """Where bytes can be written, such as the buffer of standard output."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes."""

    def flush(self) -> object:
        """Pass on what was taken."""


@dataclass(frozen=True, eq=False)
class AccessLog:
    """Where the lines go; a service goes on when nobody reads them any more.

    Args:
        stream: gets a line of JSON for each request; without one there is no log.
    """

    stream: ByteStream | None = None

    def write(self, line: AccessLine) -> None:
        """Write the line of a request at once."""
        if self.stream is not None:
            with suppress(OSError, ValueError):
                self.stream.write(json.encode(line) + b"\n")
                self.stream.flush()


def now() -> datetime:
    """Return the time of a line."""
    return datetime.now(UTC)
