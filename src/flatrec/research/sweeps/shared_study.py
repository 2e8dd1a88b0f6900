"""The study of Optuna with which a sweep goes on: its own, or a new one with the trials of a smaller space.

A sweep is a sequence of studies of Optuna in its store, each named by the sweep, a number and a digest of what its
trials are made with. So trials of different sweeps never mix, even if they start at the same time. Optuna does not let
a study change its choices: a sweep with another space is the next study, which copies the trials made so far.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.sweeps.identity import Identity, read_identity
from flatrec.research.sweeps.space import Space, distribution, stored_value
from flatrec.research.sweeps.store import (
    StudyAddress,
    count_running,
    open_storage,
    open_study,
    requeue,
    store_errors,
    without_password,
)

MADE_WITH = "made with"  # attribute of a study with its identity, written when all trials are copied
PAUSE = 1  # seconds between two looks at what another machine does
WAIT = 20  # seconds after which a machine that copies trials is thought dead

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _StoredStudy:
    """A study of a sweep in a store."""

    name: str
    number: int
    digest: str
    identity: Identity | None


def enter_study(url: str, name: str, identity: Identity, space: Space, *, alone: bool) -> StudyAddress:
    """Return the study with which a sweep goes on; create it where there is none. Other studies are not changed.

    Args:
        url: URL of the store.
        name: name of the sweep.
        identity: what its trials are made with.
        space: settings that they try.
        alone: True if no other process uses the store, so that running trials are dead ones.

    Raises:
        ValueError: trials of that name were made with something else, or tried values that are not in the space.
        ConnectionError: the store cannot be reached.
    """
    higher = higher_is_better(identity.monitor)
    with store_errors(url):
        complete = [study for study in _stored_studies(open_storage(url), name) if study.identity is not None]
        last = max((study.number for study in complete), default=0)
        newest = [study for study in complete if study.number == last]
        own = next((study for study in newest if study.digest == identity.digest), None)
        if own is not None:
            return StudyAddress(url, own.name, higher)
        if newest:
            return _next_study(
                StudyAddress(url, newest[0].name, higher), newest[0], (name, identity, space), alone=alone
            )
        if name in optuna.get_all_study_names(open_storage(url)):
            raise ValueError(
                f"{without_password(url)} holds a sweep {name!r} that does not say what its trials were made with; "
                "choose another --out or --name"
            )
        return _create_study(StudyAddress(url, f"{name} 1 {identity.digest}", higher), identity, [])


def _stored_studies(store: BaseStorage, name: str) -> list[_StoredStudy]:
    """Return the studies of a sweep."""
    pattern = re.compile(rf"{re.escape(name)} (\d+) ([0-9a-f]{{12}})")
    return [
        _StoredStudy(study.study_name, int(match[1]), match[2], read_identity(study.user_attrs.get(MADE_WITH)))
        for study in optuna.get_all_study_summaries(store, include_best_trial=False)
        if (match := pattern.fullmatch(study.study_name))
    ]


def _next_study(
    before: StudyAddress, stored: _StoredStudy, wanted: tuple[str, Identity, Space], *, alone: bool
) -> StudyAddress:
    """Create the next study of a sweep, with the trials of the one before."""
    name, identity, space = wanted
    if stored.identity is not None and (differences := identity.differences_except_space(stored.identity)):
        raise ValueError(
            f"{without_password(before.url)} holds a sweep {name!r} whose trials were made with something else: "
            f"{differences}; choose another --out or --name, or give the same"
        )
    study = open_study(before)
    _copied_trials(study, before, space)  # errors show before anything is changed
    if alone:
        requeue(study, lambda _trial: True)
    while not alone and count_running(study):
        logger.warning("waiting for trials of other machines, which try another space")
        time.sleep(PAUSE)
    address = replace(before, name=f"{name} {stored.number + 1} {identity.digest}")
    return _create_study(address, identity, _copied_trials(study, before, space))


def _create_study(address: StudyAddress, identity: Identity, trials: Sequence[FrozenTrial]) -> StudyAddress:
    """Create a study that begins with these trials, unless another machine that starts at the same time does."""
    try:
        study = optuna.create_study(
            storage=open_storage(address.url), study_name=address.name, direction=address.direction
        )
    except DuplicatedStudyError:
        study = open_study(address)
        for _ in range(WAIT):
            if MADE_WITH in study.user_attrs:
                return address
            time.sleep(PAUSE)
    for trial in trials[len(study.get_trials(deepcopy=False)) :]:
        study.add_trial(trial)
    study.set_user_attr(MADE_WITH, asdict(identity))
    return address


def _copied_trials(study: optuna.Study, address: StudyAddress, space: Space) -> list[FrozenTrial]:
    """Return the trials that have ended, as trials of a space.

    Raises:
        ValueError: a trial tried a value that is not in the space.
    """
    ended = [trial for trial in study.get_trials() if trial.state.is_finished()]
    for trial in ended:
        outside = [name for name, dimension in space.items() if stored_value(dimension, trial.params.get(name)) is None]
        if outside and trial.state != TrialState.FAIL:
            name = outside[0]
            raise ValueError(
                f"{without_password(address.url)} holds a sweep {address.name.rsplit(' ', 2)[0]!r} whose trial "
                f"{trial.number} tried {name} {trial.params.get(name)}, which is not in the space now; add it, or "
                "choose another --out or --name"
            )
        # A failed trial has no score, so that the values which it tried may be left out.
        values = (
            {} if outside else {name: stored_value(dimension, trial.params[name]) for name, dimension in space.items()}
        )
        trial.params, trial.distributions = values, {name: distribution(space[name]) for name in values}
    return ended
