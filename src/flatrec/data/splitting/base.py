"""What a method of splitting is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog

LEFT_OUT = -1  # the split of an event that is in none


@dataclass(frozen=True)
class SplitMethod:
    """A method of splitting.

    Args:
        assign: returns the split of each event (0, 1, 2, or -1 if it is left out), from the log and the settings, in
            which nothing that the method needs is missing.
        settings: names of the settings that the method uses.
        unit: what is split. ``pairs``: all events of a user and an item go together; the log has one event for each,
            ordered by user and item. ``events``: each event by itself, after returns have canceled purchases.
            ``all events``: returns are split as well, and cancel only purchases of the same split, since an earlier
            split must not know of them.
        needs_time: whether every event must have a time.
        may_lack: whether validation or test may be empty.
        resolve: returns the settings with what follows from the log, such as dates; None if nothing does.
    """

    assign: Callable[[InteractionLog, SplitSettings], Int8[ndarray, "n_events"]]
    settings: frozenset[str]
    unit: Literal["pairs", "events", "all events"]
    needs_time: bool = False
    may_lack: bool = False
    resolve: Callable[[InteractionLog, SplitSettings], SplitSettings] | None = None
