"""Events that are sent to the service: written into the log, and read for every list of a user."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flatrec.event_log import Event, EventStore, LogFullError, LogUnavailableError
from flatrec.event_log.store import UserEvent
from flatrec.serve.answers import EventsAnswer
from flatrec.serve.errors import Refused
from flatrec.serve.operations import AnyOperation, Operation, Service, UserSignals
from flatrec.serve.pause import Pause
from flatrec.serve.requests import EventsRequest, NewEvent
from flatrec.serve.served import Served
from flatrec.serve.settings import EventSettings, Limits, ServeSettings
from flatrec.serve.work import RETRY
from flatrec.utils.messages import clipped, message

PATH = "/v1/events"
DAY = 86_400  # seconds by which a clock may be ahead
logger = logging.getLogger(__name__)


def logged_events(settings: ServeSettings) -> LoggedEvents | None:
    """Return the log of a service, which is made if it is not there; None without one.

    One that cannot be opened now, such as by a worker that is started again while the database is away, is opened by
    the first request that finds it.

    Raises:
        ValueError: what is there is no log.
    """
    place = settings.events.place
    if place is None:
        return None
    store = place.store(settings.events.seconds)
    try:
        store.prepare(create=True)
    except OSError as error:
        logger.warning("%s", message(error))
    return LoggedEvents(store, settings.events, settings.limits.history)


@dataclass(frozen=True, eq=False)
class LoggedEvents:
    """The log as the service uses it.

    Args:
        store: the log.
        settings: what its events mean.
        count: largest number of events of a user that are read, the newest ones.
    """

    store: EventStore
    settings: EventSettings
    count: int
    reading: Pause = field(init=False)
    writing: Pause = field(init=False)

    def __post_init__(self) -> None:
        for name in ("reading", "writing"):
            object.__setattr__(self, name, Pause(self.settings.seconds / 2, self.settings.pause))

    def signals(self, users: Sequence[str], served: Served) -> Mapping[str, UserSignals]:
        """Return what users did, as far as it masks items or counts as history.

        Raises:
            LogUnavailableError: the log cannot be read.
        """
        del served
        mask, history = self.settings.mask, self.settings.history
        names = None if mask is None or history is None else {*mask, *history}
        with self.reading.between():
            found = self.store.newest([user for user in users if _is_storable(user)], self.count, names)
        return {user: UserSignals(_items(events, mask), _items(events, history)) for user, events in found.items()}

    def close(self) -> None:
        """Close the log."""
        self.store.close()

    def operation(self) -> AnyOperation:
        """Return the operation that writes events."""
        return Operation(
            "POST", PATH, "Write what users did; it counts from the next list on.", EventsRequest, EventsAnswer,
            self.append_events, statuses=(507,),
        )  # fmt: skip

    def append_events(self, request: EventsRequest, served: Served, service: Service) -> EventsAnswer:
        """Write events; what is answered is on the disk.

        Raises:
            Refused: an event is malformed, or the log cannot be written; nothing is written then.
        """
        number = len(request.events)
        try:
            events = self._checked(request.events, service.limits)
            written = self._written(events)
        except Refused:
            service.count_events("refused", number)
            raise
        service.count_events("written", written)
        service.count_events("repeated", number - written)
        items = served.recommender.items
        return EventsAnswer(
            written=written,
            repeated=number - written,
            unknown_items=len({event.item for event in events if event.item not in items}),
            model=served.model,
            generated_at=datetime.now(UTC),
        )

    def _checked(self, events: Sequence[NewEvent], limits: Limits) -> list[Event]:
        if not 1 <= len(events) <= limits.events:
            raise Refused(422, f"events may be 1 to {limits.events} at once, but are {len(events)}; send them in parts")
        now = time.time()
        return [self._event(number, event, now, limits) for number, event in enumerate(events)]

    def _event(self, number: int, sent: NewEvent, now: float, limits: Limits) -> Event:
        name = self.settings.default if sent.event is None else sent.event
        for part, text in (("user", sent.user), ("item", sent.item), ("event", name), ("id", sent.id)):
            if text is not None:
                _check_text(f"{part} of events[{number}]", text, limits)
        return Event(sent.user, sent.item, name, _seconds(number, sent.time, now), sent.id)

    def _written(self, events: Sequence[Event]) -> int:
        try:
            with self.writing.between():
                return self.store.append(events)
        except LogFullError as error:
            logger.error("%s", message(error))
            raise Refused(
                507,
                "the events need space on the disk of the log, but it is full; nothing was written, send them later",
            ) from None
        except LogUnavailableError as error:
            logger.error("%s", message(error))
            raise Refused(
                503, "the log of events must be open, but is locked or unreachable; send the events again later", RETRY
            ) from None


def _items(events: Sequence[UserEvent], names: Collection[str] | None) -> tuple[str, ...]:
    """Return the items of events with some names, each once, the newest first."""
    return tuple(dict.fromkeys(one.item for one in events if names is None or one.event in names))


def _check_text(name: str, text: str, limits: Limits) -> None:
    if len(text) > limits.id_length:
        raise Refused(422, f"the {name} may have {limits.id_length} characters, but has {len(text)}; shorten it")
    if not text.strip() or not _is_storable(text):
        raise Refused(422, f"the {name} must be visible text without the character NUL, but is {clipped(repr(text))}")


def _is_storable(text: str) -> bool:
    """Return True if every database takes a text."""
    return "\0" not in text and not any(map(_is_surrogate, text))


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _seconds(number: int, sent: datetime | float | None, now: float) -> int:
    """Return whole Unix seconds; a time without a zone is in UTC."""
    if sent is None:
        return math.floor(now)
    if isinstance(sent, datetime):
        sent = (sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)).timestamp()
    if not 0 <= sent <= now + DAY:
        raise Refused(
            422,
            f"the time of events[{number}] must lie between 1970 and a day from now, but is {clipped(str(sent))}; "
            "send a time such as 2026-11-29T10:00:00Z, Unix seconds (no milliseconds), or none",
        )
    return math.floor(sent)
