"""A split at two dates for all users: nothing in a split is older than anything in the split before it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, Int64
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import LEFT_OUT, SplitMethod
from flatrec.data.splitting.ratios import RATIOS, fractions_of
from flatrec.utils.moments import as_date_time, parse_moment

SETTINGS = frozenset({"ratios", "valid_from", "test_from", "test_until", "windows"})


def assign(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Split at two dates; an event at a date is on the later side of it.

    A date that is not set is the time of the event at which the fraction begins, with all events sorted by time, so
    that a fraction may be smaller or larger where many events have one time.

    Raises:
        ValueError: a date is outside the data's time, or the dates are not in order.
    """
    assert log.timestamps is not None
    valid_from, test_from, test_until = boundaries(log, settings)
    splits: ndarray = np.zeros(len(log), dtype=np.int8)
    splits[log.timestamps >= valid_from] = 1
    splits[log.timestamps >= test_from] = 2
    if test_until is not None:
        splits[log.timestamps >= test_until] = LEFT_OUT
    return splits


def boundaries(log: InteractionLog, settings: SplitSettings) -> tuple[int, int, int | None]:
    """Return the times, in Unix seconds, at which validation and test begin and at which test ends, if it does.

    Raises:
        ValueError: a date is outside the data's time, or the dates are not in order.
    """
    assert log.timestamps is not None
    times = np.sort(log.timestamps[~log.returns])
    until = _date("test_until", settings.test_until, times)
    until_rows = len(times) if until is None else int(np.searchsorted(times, until))
    test = _date("test_from", settings.test_from, times)
    valid = _date("valid_from", settings.valid_from, times)
    _, valid_fraction, test_fraction = fractions_of(settings.ratios or RATIOS)
    if test is None:
        test = _time_at(times, until_rows - int(test_fraction * until_rows))
    if valid is None:
        rows = int(np.searchsorted(times, test))
        share = valid_fraction / (1 - test_fraction)
        valid = _time_at(times, rows - int(share * rows))
    if not valid <= test or (until is not None and until <= test):
        ends = f", test_until {as_date_time(until)}" if until is not None else ""
        raise ValueError(
            f"split.valid_from must not be later than split.test_from, and test_until must be later, but they are "
            f"{as_date_time(valid)} and {as_date_time(test)}{ends}; change one of them"
        )
    return valid, test, until


def _time_at(times: Int64[ndarray, "n_events"], row: int) -> int:
    """Return the time of a row, and a second after the last one for the row behind it."""
    return int(times[row]) if row < len(times) else int(times[-1]) + 1


def _date(name: str, text: str | None, times: Int64[ndarray, "n_events"]) -> int | None:
    if text is None:
        return None
    moment = parse_moment(text, f"split.{name}")
    if not times[0] < moment <= times[-1] + (name == "test_until"):
        raise ValueError(
            f"split.{name} must lie within the data's time, after {as_date_time(int(times[0]))} and not after "
            f"{as_date_time(int(times[-1]))}, but is {text}"
        )
    return moment


METHOD = SplitMethod(assign, SETTINGS, "all events", needs_time=True)
