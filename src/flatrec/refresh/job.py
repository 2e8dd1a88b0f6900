"""The nightly job: from a new delivery to the recommender in use, or a reason why the former one stays."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flatrec.data.dataset import Dataset
from flatrec.refresh.checks import Check, RefusedError, refusal, run_checks
from flatrec.refresh.delivery import Delivery, Ids, describe, fingerprint_of
from flatrec.refresh.ending import abandon, conclude, record_missing
from flatrec.refresh.exporting import check_exports
from flatrec.refresh.newest_days import newest_days
from flatrec.refresh.reading import Reading, read_delivery
from flatrec.refresh.report import render
from flatrec.refresh.settings import RefreshSettings
from flatrec.refresh.state import State, write_state
from flatrec.refresh.steps import STEPS, last_accepted
from flatrec.refresh.store import LATEST, Store
from flatrec.refresh.work import Work, no_callbacks, settings_digest
from flatrec.training import Callback
from flatrec.utils.atomic_write import write_text
from flatrec.utils.locks import lock_folder
from flatrec.utils.messages import message
from flatrec.utils.moments import as_date_time

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Preview:
    """What a delivery holds and whether it would be accepted.

    Args:
        delivery: its figures.
        checks: what each bound says.
        refusal: one line on the bounds that are broken; empty if none is.
    """

    delivery: Delivery
    checks: tuple[Check, ...]
    refusal: str


def refresh(
    settings: RefreshSettings,
    *,
    accept: bool = False,
    now: int | None = None,
    callbacks: Callable[[str], Sequence[Callback]] = no_callbacks,
) -> State:
    """Read a delivery, train on it, and promote the new recommender if it is good enough; go on after a kill.

    Args:
        settings: the settings of the job.
        accept: whether the delivery is accepted whatever the checks say.
        now: the present time, in Unix seconds; by default that of the clock.
        callbacks: returns the callbacks of a training run, given its title.

    Returns:
        The record of the generation; its outcome is ``promoted`` or ``kept``.

    Raises:
        RefusedError: the delivery breaks a bound.
        InUseError: another process refreshes the folder.
        FileNotFoundError: there are no data.
        ValueError: the data cannot be read, or the settings do not fit them.
        OSError: the folder, an export or a database cannot be written to.
    """
    store = Store(settings.folder)
    store.make()
    now = int(time.time()) if now is None else now
    with lock_folder(store.path, "refreshes"):
        store.clean()
        record_missing(store)
        dataset, state = _begin(store, settings)
        work = Work(settings, store, dataset, state, accept=accept, now=now, callbacks=callbacks)
        _carry_out(work)
        ended = conclude(settings, store, work.state)
    if ended.outcome == "refused":
        raise RefusedError(ended.reason)
    return ended


def preview(settings: RefreshSettings, *, now: int | None = None) -> Preview:
    """Read a delivery and check it; nothing is written.

    Args:
        settings: the settings of the job.
        now: the present time, in Unix seconds; by default that of the clock.

    Raises:
        FileNotFoundError: there are no data.
        ValueError: the data cannot be read.
    """
    dataset = read_delivery(settings).dataset
    check_exports(settings.export, dataset)
    delivery = describe(dataset, newest_days(dataset, settings.compare))
    accepted = last_accepted(Store(settings.folder), 0)
    now = int(time.time()) if now is None else now
    checks = run_checks(delivery, Ids.of(dataset.users, dataset.items), accepted, settings.check, now=now)
    return Preview(delivery, checks, refusal(checks))


def _begin(store: Store, settings: RefreshSettings) -> tuple[Dataset, State]:
    """Return the delivery, and the generation that a kill or an error stopped if it is of this delivery, or a new one.

    A generation that was stopped goes on with the events of the log that it began with.
    """
    latest = next(iter(store.states()), None)
    stopped = latest if latest is not None and latest.finished is None else None
    reading = None
    if stopped is not None and _is_usable(stopped, store, settings):
        reading = read_delivery(settings, stopped.events_until)
        check_exports(settings.export, reading.dataset)
        if fingerprint_of(reading.dataset) == stopped.fingerprint:
            return reading.dataset, stopped
    if reading is None or settings.events is not None:
        reading = read_delivery(settings)
        check_exports(settings.export, reading.dataset)
    if stopped is not None:
        abandon(settings, store, stopped)
    return reading.dataset, _new_state(store, settings, reading)


def _is_usable(stopped: State, store: Store, settings: RefreshSettings) -> bool:
    """Return True if a stopped generation is of these settings and of the recommender in use."""
    return stopped.settings == settings_digest(settings) and store.in_use() in (stopped.in_use, stopped.number)


def _new_state(store: Store, settings: RefreshSettings, reading: Reading) -> State:
    state = State(
        number=max(store.numbers(), default=0) + 1,
        started=as_date_time(int(time.time())),
        fingerprint=fingerprint_of(reading.dataset),
        settings=settings_digest(settings),
        events_until=reading.events_until,
        in_use=store.in_use(),
    )
    store.folder(state.number).mkdir()
    write_state(store.folder(state.number), state)
    return state


def _carry_out(work: Work) -> None:
    """Do the steps that are left, until one of them ends the generation.

    An error is written down, and the next start goes on with the step that failed.
    """
    for name, step in STEPS.items():
        if work.state.outcome is not None:
            return
        if work.state.done(name):
            continue
        began = time.perf_counter()
        try:
            work.state = step(work).after(name, time.perf_counter() - began)
            work.save()
        except Exception as error:
            _record_error(work, f"{name}: {message(error)}")
            raise


def _record_error(work: Work, text: str) -> None:
    """Write an error into the record of the generation and the latest report, if the disk allows it."""
    work.state = replace(work.state, error=text)
    try:
        work.save()
        write_text(work.store.path / LATEST, render(work.state, work.store.history()))
    except OSError as error:
        logger.warning("the error could not be recorded: %s", message(error))
