"""What the log of events says of users, for a request that is answered whether the log can be read or not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from flatrec.event_log import LogUnavailableError
from flatrec.serve.operations import Service, UserSignals
from flatrec.serve.served import Served
from flatrec.utils.messages import message

UNREAD = "the log of events could not be read: the newest events are not considered"
logger = logging.getLogger(__name__)


def signals_of(
    users: Sequence[str], served: Served, service: Service
) -> tuple[Mapping[str, UserSignals], tuple[str, ...]]:
    """Return what the log says of users; nothing and a warning if it cannot be read."""
    if not users:
        return {}, ()
    try:
        return service.events.signals(users, served), ()
    except LogUnavailableError as error:
        logger.warning("%s", message(error))
        service.count_events("unread", 1)
        return {}, (UNREAD,)


def hides_seen(include_seen: bool | None, served: Served) -> bool:
    """Return True if items that a user has are left out: as the request says, or else as in evaluations."""
    return served.recommender.filter_seen if include_seen is None else not include_seen
