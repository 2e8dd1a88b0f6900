"""What an operation of the service is: a method and a path, a struct in, a struct out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct

from flatrec.serve.encoding import ItemEncoder
from flatrec.serve.errors import Refused
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits

Query = TypeVar("Query", bound=Struct)
EventResult: TypeAlias = Literal["written", "repeated", "refused", "unread"]


@dataclass(frozen=True)
class UserSignals:
    """What a log of events says of a user.

    Args:
        masked: ids of items that are not listed for the user.
        history: ids of items by which the user is judged if the recommender was not trained on the user.
    """

    masked: Sequence[str] = ()
    history: Sequence[str] = ()


@runtime_checkable
class EventLog(Protocol):
    """What happened since training; read for every request, in a thread, by several threads at the same time."""

    def signals(self, users: Sequence[str], served: Served) -> Mapping[str, UserSignals]:
        """Return what is known of users; those without an event may be left out.

        Args:
            users: original ids, known to the recommender or not.
            served: the recommender that answers the request.

        Raises:
            LogUnavailableError: the log cannot be read now; the request is answered without it.
        """

    def close(self) -> None:
        """Close the log when the service ends."""


class NoEvents:
    """A log in which nothing ever happens."""

    def signals(self, users: Sequence[str], served: Served) -> Mapping[str, UserSignals]:
        """Return nothing."""
        del users, served
        return {}

    def close(self) -> None:
        """Do nothing."""


def _count_nothing(result: EventResult, number: int) -> None:
    del result, number


@dataclass(frozen=True, eq=False)
class Service:
    """What operations share beside the recommender.

    Args:
        limits: what a request may cost.
        events: what happened since training.
        encoder: encodes new items.
        encodings: is held by those that encode one.
        prefix: what precedes the paths of this recommender's operations; empty for that of the first.
        count_events: counts events by what became of them, and ``unread`` once for each failure to read the log.
    """

    limits: Limits
    events: EventLog
    encoder: ItemEncoder
    encodings: BoundedSemaphore
    prefix: str = ""
    count_events: Callable[[EventResult, int], None] = _count_nothing


@dataclass(frozen=True, eq=False)
class Together(Generic[Query]):
    """How queries that come at the same time are answered by one call.

    Args:
        key: returns what the queries of one call have in common; None for a query that is answered by itself. Raises
            :class:`~flatrec.serve.errors.Refused` if a query is not allowed.
        function: returns one answer or refusal for each query.
        is_quick: whether a call takes less time than handing it to a thread and back, so that the event loop answers.
    """

    key: Callable[[Query, Service], Hashable | None]
    function: Callable[[Sequence[Query], Served, Service], Sequence[Struct | Refused]]
    is_quick: Callable[[Served, Service], bool]


@dataclass(frozen=True, eq=False)
class Operation(Generic[Query]):
    """One operation; its function knows nothing of HTTP, and is called in a thread.

    Args:
        method: ``GET``, whose struct comes from path and query, or ``POST``, whose struct is the body.
        path: the path; ``{name}`` at its end is a field of the struct, and may contain slashes.
        summary: what it does, for the document.
        query: the struct that comes in.
        answer: the struct that goes out.
        function: makes one of the other, by the one recommender that answers this request.
        statuses: statuses of errors that are peculiar to it.
        body_bytes: the longest body; None for that of the limits.
        together: how several queries are answered by one call, if that is faster.
    """

    method: Literal["GET", "POST"]
    path: str
    summary: str
    query: type[Query]
    answer: type[Struct]
    function: Callable[[Query, Served, Service], Struct]
    statuses: tuple[int, ...] = ()
    body_bytes: Callable[[Limits], int] | None = None
    together: Together[Query] | None = None


AnyOperation: TypeAlias = Operation[Any]
