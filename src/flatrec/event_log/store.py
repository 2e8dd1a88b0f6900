"""What a log of events is asked for, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import polars as pl

TABLE = "flatrec_events"
COLUMNS = ("number", "user", "item", "event", "time", "id")
ROWS = 50_000  # that are read at once
SCHEMA = pl.Schema({"user": pl.String, "item": pl.String, "event": pl.String, "time": pl.Int64})


class Event(NamedTuple):
    """Something that a user did with an item.

    Args:
        user: original id of the user.
        item: original id of the item.
        event: what happened, such as ``purchase``.
        time: when, in whole Unix seconds.
        id: an id of the event itself, by which one that is sent twice is written once; None without one.
    """

    user: str
    item: str
    event: str
    time: int
    id: str | None = None


class UserEvent(NamedTuple):
    """An event of a user who is known from elsewhere."""

    item: str
    event: str


class LogFullError(OSError):
    """The disk of the log is full; nothing was written."""


class LogUnavailableError(OSError):
    """The log cannot be read or written now: it is locked, unreachable, gone or damaged."""


class EventStore(ABC):
    """An open log; several threads and processes may use one at the same time."""

    @abstractmethod
    def prepare(self, *, create: bool) -> None:
        """Check that there is a log.

        Args:
            create: whether one that is not there is made.

        Raises:
            FileNotFoundError: there is none, or no folder for it.
            ValueError: what is there is no log.
            LogUnavailableError: it cannot be opened.
        """

    @abstractmethod
    def append(self, events: Sequence[Event]) -> int:
        """Write events, all of them or none, and return how many were not there yet by their ids.

        When this returns, they survive a kill of the process and a loss of power.

        Raises:
            LogFullError: the disk is full.
            LogUnavailableError: the log cannot be written.
        """

    @abstractmethod
    def newest(
        self, users: Sequence[str], count: int, names: Collection[str] | None = None
    ) -> Mapping[str, Sequence[UserEvent]]:
        """Return the newest events of users, the newest first; users without any are left out.

        Args:
            users: original ids.
            count: largest number of events of a user.
            names: the events that are asked for; None for all.

        Raises:
            LogUnavailableError: the log cannot be read.
        """

    @abstractmethod
    def last_number(self) -> int:
        """Return a number that all events which are written later exceed; 0 for an empty log.

        Raises:
            LogUnavailableError: the log cannot be read.
        """

    @abstractmethod
    def until(self, number: int) -> pl.DataFrame:
        """Return all events up to a number, in the order of writing: ``user``, ``item``, ``event`` and ``time``.

        Memory is that of the events.

        Raises:
            LogUnavailableError: the log cannot be read.
        """

    @abstractmethod
    def forget(self, users: Sequence[str]) -> int:
        """Delete the events of users, so that nothing of them stays in the file, and return how many.

        Raises:
            LogFullError: the disk is full.
            LogUnavailableError: the log cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Close all connections; the log is opened again by the next call."""
