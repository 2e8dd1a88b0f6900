"""Moments in time: Unix seconds from ISO texts, and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from flatrec.utils.messages import clipped

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date_time(text: str, name: str) -> datetime:
    """Return the moment of an ISO date, or date and time, to the microsecond; without a zone it is in UTC.

    Args:
        text: such as ``2024-03-01`` or ``2024-03-01T08:00:00+01:00``.
        name: the setting, for the message.

    Raises:
        ValueError: the text is no such date.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{name} must be a date such as 2024-03-01, or a date and time, but is {clipped(text)!r}"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def parse_moment(text: str, name: str) -> int:
    """Return the Unix seconds of an ISO date, or date and time; without a zone it is in UTC.

    Fractions of a second are rounded up, so that whole seconds from this moment on are those that are not below it.

    Args:
        text: such as ``2024-03-01`` or ``2024-03-01T08:00:00+01:00``.
        name: the setting, for the message.

    Raises:
        ValueError: the text is no such date.
    """
    return math.ceil(parse_date_time(text, name).timestamp())


def as_date_time(timestamp: int) -> str:
    """Return Unix seconds as an ISO date, with the time of day unless it is midnight, in UTC.

    Seconds outside the years 1 to 9999 have no such date and are returned as a number.

    Example:
        >>> as_date_time(0), as_date_time(60)
        ('1970-01-01', '1970-01-01T00:01:00')
    """
    try:
        moment = datetime.fromtimestamp(timestamp, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return str(timestamp)
    return moment.replace(tzinfo=None).isoformat().removesuffix("T00:00:00")
