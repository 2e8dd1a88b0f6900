"""The delivery of one night: the data, and the events of the log up to a number that a later start reads to again."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flatrec.api import load
from flatrec.config import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.tables.logged import LoggedEvents
from flatrec.refresh.settings import RefreshSettings
from flatrec.utils.messages import message

NO_SPLIT = SplitSettings(method="none")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read.

    Args:
        dataset: the delivery, all of its interactions in one split.
        events_until: the number of the last event of the log that is in it; None without a log.
    """

    dataset: Dataset
    events_until: int | None = None


def read_delivery(settings: RefreshSettings, events_until: int | None = None) -> Reading:
    """Read the data, and the events of the log if there is one.

    A log that is not there yet has no event: the service makes it, which needs the recommender of a first night.

    Args:
        settings: the settings of the job.
        events_until: the number of the last event that is read; by default the newest one.

    Raises:
        FileNotFoundError: there are no data, or the log from which events were read before is gone.
        ValueError: the data cannot be read, or what should be a log is none.
        LogUnavailableError: the log cannot be read.
    """
    if settings.events is None:
        return Reading(load(settings.data, NO_SPLIT))
    try:
        log = settings.events.place.open()
    except FileNotFoundError as error:
        if events_until:
            raise
        logger.warning("%s; the delivery has no event of it", message(error))
        return Reading(load(settings.data, NO_SPLIT), 0)
    try:
        until = log.last_number() if events_until is None else events_until
        logged = LoggedEvents(log.until(until), settings.events.weights)
    finally:
        log.close()
    return Reading(load(settings.data, NO_SPLIT, logged=logged), until)
