"""A split at two dates for all users: nothing in a split is older than anything in the split before it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, Int64
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import LEFT_OUT, SplitMethod
from flatrec.data.splitting.ratios import RATIOS, floored, fractions_of
from flatrec.utils.moments import as_date_time, parse_moment

SETTINGS = frozenset({"ratios", "valid_from", "test_from", "test_until", "windows"})


def assign(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Split at two dates; an event at a date is on the later side of it."""
    assert log.timestamps is not None
    assert settings.valid_from is not None
    assert settings.test_from is not None
    splits: ndarray = np.zeros(len(log), dtype=np.int8)
    splits[log.timestamps >= parse_moment(settings.valid_from, "split.valid_from")] = 1
    splits[log.timestamps >= parse_moment(settings.test_from, "split.test_from")] = 2
    if settings.test_until is not None:
        splits[log.timestamps >= parse_moment(settings.test_until, "split.test_until")] = LEFT_OUT
    return splits


def resolve(log: InteractionLog, settings: SplitSettings) -> SplitSettings:
    """Return the settings with all dates: what is not set follows from the ratios.

    With all purchases before ``test_until`` sorted by time, test begins at the time of the first that belongs to its
    fraction, and validation likewise among those before it. Purchases of equal time are never divided, so that a split
    may be larger than its fraction. For windows, test ends a second after the last purchase if no end is set.

    Raises:
        ValueError: a date is no date, is outside the data's time, or the dates are not in order.
    """
    assert log.timestamps is not None
    times = np.sort(log.timestamps[~log.returns])
    until = _date("test_until", settings.test_until, times)
    if until is None and settings.windows:
        until = int(times[-1]) + 1
    _, valid_fraction, test_fraction = fractions_of(settings.ratios or RATIOS)
    test = _date("test_from", settings.test_from, times)
    if test is None:
        rows = len(times) if until is None else int(np.searchsorted(times, until))
        test = _time_at(times, rows - floored(test_fraction, rows))
    valid = _date("valid_from", settings.valid_from, times)
    if valid is None:
        rows = int(np.searchsorted(times, test))
        size = floored(valid_fraction / (1 - test_fraction), rows)
        valid = _time_at(times, rows - size) if size else test
    _check_order(valid, test, until)
    return settings.replace(
        valid_from=as_date_time(valid),
        test_from=as_date_time(test),
        test_until=None if until is None else as_date_time(until),
    )


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


def _check_order(valid: int, test: int, until: int | None) -> None:
    if not valid <= test or (until is not None and until <= test):
        ends = f", and it ends at {as_date_time(until)}" if until is not None else ""
        raise ValueError(
            "the dates of a split by time must be in the order valid_from, test_from, test_until, but validation "
            f"begins at {as_date_time(valid)}, test at {as_date_time(test)}{ends}; change one of them"
        )


METHOD = SplitMethod(assign, SETTINGS, "all events", needs_time=True, resolve=resolve)
