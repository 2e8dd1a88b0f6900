"""Splits by each user's own order of events: the last ones, or the last fractions, are for validation and test."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import SplitMethod
from flatrec.data.splitting.ratios import RATIOS, split_sizes


def leave_last(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Give the last ``n_last`` events of each user to test, and as many before them to validation.

    A user with fewer than ``2 * n_last + 1`` events has all of them in training. Equal times are ordered by item.
    """
    n_last = settings.n_last or 1
    counts = np.bincount(log.users, minlength=log.n_users)
    sizes = np.where(counts > 2 * n_last, n_last, 0)
    return _last_events(log, counts, sizes, sizes)


def user_time(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Give the last fractions of each user's events to test and, before them, to validation.

    The numbers are those of the random split: rounded down, but at least one for a user with three events or more.
    Equal times are ordered by item.
    """
    counts = np.bincount(log.users, minlength=log.n_users)
    valid, test = split_sizes(counts, settings.ratios or RATIOS)
    return _last_events(log, counts, valid, test)


def _last_events(
    log: InteractionLog, counts: Int[ndarray, "n_users"], valid: Int[ndarray, "n_users"], test: Int[ndarray, "n_users"]
) -> Int8[ndarray, "n_events"]:
    order = log.order()
    owners = log.users[order]
    ends = np.cumsum(counts)
    from_end = ends[owners] - np.arange(len(order))  # 1 for a user's last event
    splits = np.zeros(len(log), dtype=np.int8)
    splits[order] = np.where(from_end <= test[owners], 2, np.where(from_end <= (test + valid)[owners], 1, 0))
    return splits


LEAVE_LAST = SplitMethod(leave_last, frozenset({"n_last"}), "events", needs_time=True)
USER_TIME = SplitMethod(user_time, frozenset({"ratios"}), "events", needs_time=True)
