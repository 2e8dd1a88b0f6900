"""The steps of the nightly job, each of which can be done again after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from flatrec.refresh.checks import Accepted, refusal, run_checks
from flatrec.refresh.comparison import compare
from flatrec.refresh.delivery import IDS, Delivery, Ids, describe, read_ids, write_ids
from flatrec.refresh.exporting import export_all
from flatrec.refresh.state import State, Step
from flatrec.refresh.store import Store
from flatrec.refresh.training import fit_final, train_candidate
from flatrec.refresh.work import Work


def check(work: Work) -> State:
    """Compare the delivery with the last accepted one; a refused one ends the generation."""
    delivery, accepted = describe(work.dataset, work.split), last_accepted(work.store, work.state.number)
    ids = Ids.of(work.dataset.users, work.dataset.items)
    checks = run_checks(delivery, ids, accepted, work.settings.check, now=work.now)
    reason = refusal(checks)
    state = replace(
        work.state,
        delivery=delivery.as_dict(),
        before=accepted.delivery.as_dict() if accepted is not None else None,
        checks=tuple(check.as_dict() for check in checks),
    )
    if reason and not work.accept:
        return state.ends("refused", reason)
    state = replace(state, accepted=True, ids=write_ids(work.folder / IDS, ids))
    if is_known(work.store, state):
        return state.ends("kept", "nothing new: the delivery and the settings are those of the last generation")
    return state


def train(work: Work) -> State:
    """Train the candidate without the newest days."""
    train_candidate(work)
    return work.state


def decide(work: Work) -> State:
    """Compare the candidate with the recommender in use; one that is worse ends the generation."""
    comparison = compare(work)
    state = replace(work.state, comparison=comparison.as_dict(), reason=comparison.sentence)
    return state if comparison.promote else state.ends("kept", comparison.sentence)


def fit(work: Work) -> State:
    """Train on all interactions."""
    fit_final(work)
    return work.state


def export(work: Work) -> State:
    """Write all exports of the new recommender; the generation is then as good as promoted."""
    export_all(work)
    return work.state.ends("promoted", work.state.reason)


STEPS: Mapping[Step, Callable[[Work], State]] = MappingProxyType(
    {"check": check, "train": train, "compare": decide, "fit": fit, "export": export}
)


def last_accepted(store: Store, number: int) -> Accepted | None:
    """Return the last accepted delivery before a generation; None if there is none.

    Raises:
        ValueError: its ids are damaged.
    """
    for state in store.states():
        if state.accepted and state.number != number:
            ids = read_ids(store.folder(state.number) / IDS, state.ids)
            return Accepted(Delivery(**state.delivery), ids)
    return None


def is_known(store: Store, state: State) -> bool:
    """Return True if the last generation that was promoted or kept had the same delivery and settings."""
    if state.in_use is None:
        return False
    for former in store.states():
        if former.number != state.number and former.outcome in ("promoted", "kept"):
            return (former.fingerprint, former.settings) == (state.fingerprint, state.settings)
    return False
