"""The end of a generation: the pointer, the report, the line of the history, and which generations stay."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from flatrec.refresh.report import render
from flatrec.refresh.settings import RefreshSettings
from flatrec.refresh.state import State, write_state
from flatrec.refresh.store import LATEST, REPORT, Store
from flatrec.utils.atomic_write import write_text
from flatrec.utils.messages import message
from flatrec.utils.moments import as_date_time

logger = logging.getLogger(__name__)


def conclude(settings: RefreshSettings, store: Store, state: State) -> State:
    """End a generation whose outcome is known, and return its last record; all of it can be done again after a kill.

    The pointer moves in one step, after all that may fail. What follows it is for people: if it fails, a warning says
    so, and the next start does it.

    Raises:
        OSError: the report cannot be written, or the pointer cannot be moved.
    """
    ended = replace(state, finished=as_date_time(int(time.time())))
    page = render(ended, [*store.history(), ended.as_line()])
    write_text(store.folder(state.number) / REPORT, page)
    if state.outcome == "promoted":
        store.promote(state.number)
    for action in _afterward(settings, store, ended, page):
        try:
            action()
        except (OSError, ValueError) as error:
            logger.warning("%s; the next refresh does it", message(error))
            break
    return ended


def abandon(settings: RefreshSettings, store: Store, state: State) -> None:
    """End a generation that a kill or an error stopped, and that another delivery or other settings come after.

    Where its outcome was known already, it ends with that: its exports are in place.

    Raises:
        OSError: the folder cannot be written to.
    """
    if state.outcome is None:
        failed = f" after an error ({state.error})" if state.error else ""
        state = state.ends("abandoned", f"stopped{failed}, before another delivery or other settings came")
    conclude(settings, store, state)


def record_missing(store: Store) -> None:
    """Write lines of the history that an error kept from being written."""
    recorded = {line.get("number") for line in store.history()}
    for state in reversed(store.states()):
        if state.finished is not None and state.number not in recorded:
            store.record(state)


def _afterward(settings: RefreshSettings, store: Store, ended: State, page: str) -> tuple[Callable[[], None], ...]:
    """Return what is left to do when the pointer is right; that nothing is left is written last."""

    def prune() -> None:
        states = [ended if state.number == ended.number else state for state in store.states()]
        store.prune(settings.keep, states, store.in_use())

    return (
        lambda: store.record(ended),
        lambda: write_text(store.path / LATEST, page),
        prune,
        lambda: write_state(store.folder(ended.number), ended),
    )
