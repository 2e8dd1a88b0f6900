"""Where a sweep goes on in its store: with its own trials, with those of a space before it, or not at all.

A sweep of one name is a row of studies of Optuna there, called by that name, a number and a digest of what its trials
are made with. So no trial can land among those of another, whoever starts at the same time. Optuna lets no study change
its choices; a sweep with another space is the next study, which takes over the trials made.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from flatrec.research.sweeps.identity import Identity, read
from flatrec.research.sweeps.space import Space, distribution, stored
from flatrec.research.sweeps.store import Place, opened, reaching, requeue, shown, storage, under_way

MADE_WITH = "made with"  # the attribute of a study that has its identity, written once all is taken over
PAUSE = 1  # seconds between looks at what another machine does
WAIT = 20  # seconds after which a machine that takes trials over is thought dead

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kept:
    """A study of a sweep in a store."""

    name: str
    number: int
    digest: str
    identity: Identity | None


def entered(url: str, name: str, identity: Identity, space: Space, *, alone: bool) -> Place:
    """The study of Optuna that a sweep goes on with, made where there is none; those of others are left as they are.

    Args:
        url: of the store.
        name: of the sweep.
        identity: what its trials are made with.
        space: what they try.
        alone: whether nobody else uses the store, so that a trial under way is nobody's.

    Raises:
        ValueError: trials under that name were made with something else, or tried what is not in the space.
        ConnectionError: the store cannot be reached.
    """
    with reaching(url):
        kept = _kept(storage(url), name)
        ready = [one for one in kept if one.identity is not None]
        last = max((one.number for one in ready), default=0)
        newest = [one for one in ready if one.number == last]
        own = next((one for one in newest if one.digest == identity.digest), None)
        if own is not None:
            return Place(url, own.name)
        if newest:
            return _next(Place(url, newest[0].name), newest[0], (name, identity, space), alone=alone)
        if name in optuna.get_all_study_names(storage(url)):
            raise ValueError(
                f"{shown(url)} holds a sweep {name!r} from before flatrec wrote down what trials are made with, so "
                "whose they are is not known; choose another --out or --name"
            )
        return _made(Place(url, f"{name} 1 {identity.digest}"), identity, [])


def _kept(store: BaseStorage, name: str) -> list[_Kept]:
    """The studies of a sweep."""
    pattern = re.compile(rf"{re.escape(name)} (\d+) ([0-9a-f]{{12}})")
    return [
        _Kept(one.study_name, int(found[1]), found[2], read(one.user_attrs.get(MADE_WITH)))
        for one in optuna.get_all_study_summaries(store, include_best_trial=False)
        if (found := pattern.fullmatch(one.study_name))
    ]


def _next(before: Place, kept: _Kept, asked: tuple[str, Identity, Space], *, alone: bool) -> Place:
    """The next study of a sweep, with the trials of the one before."""
    name, identity, space = asked
    if kept.identity is not None and (otherwise := identity.but_for_space(kept.identity)):
        raise ValueError(
            f"{shown(before.url)} holds a sweep {name!r} whose trials were made with something else: {otherwise}; "
            "choose another --out or --name, or give the same"
        )
    study = opened(before)
    _taken_over(study, before, space)  # a refusal comes before anything is changed
    if alone:
        requeue(study, lambda _trial: True)
    while not alone and under_way(study):
        logger.warning("waiting for trials of others, which try another space")
        time.sleep(PAUSE)
    place = Place(before.url, f"{name} {kept.number + 1} {identity.digest}")
    return _made(place, identity, _taken_over(study, before, space))


def _made(place: Place, identity: Identity, trials: Sequence[FrozenTrial]) -> Place:
    """A study that begins with these trials, made by this machine or by another that starts at the same time."""
    try:
        study = optuna.create_study(storage=storage(place.url), study_name=place.name, direction="maximize")
    except DuplicatedStudyError:
        study = opened(place)
        for _ in range(WAIT):
            if MADE_WITH in study.user_attrs:
                return place
            time.sleep(PAUSE)
    for trial in trials[len(study.get_trials(deepcopy=False)) :]:
        study.add_trial(trial)
    study.set_user_attr(MADE_WITH, asdict(identity))
    return place


def _taken_over(study: optuna.Study, place: Place, space: Space) -> list[FrozenTrial]:
    """The trials that have ended, as trials of a space.

    Raises:
        ValueError: one tried what is not in the space.
    """
    ended = [one for one in study.get_trials() if one.state.is_finished()]
    for trial in ended:
        outside = [name for name, one in space.items() if stored(one, trial.params.get(name)) is None]
        if outside and trial.state != TrialState.FAIL:
            name = outside[0]
            raise ValueError(
                f"{shown(place.url)} holds a sweep {place.name.rsplit(' ', 2)[0]!r} whose trial {trial.number} tried "
                f"{name} {trial.params.get(name)}, which is not in the space now; put it in, or choose another --out "
                "or --name"
            )
        # One that failed counts for nothing, so that what it tried may be left out.
        values = {} if outside else {name: stored(one, trial.params[name]) for name, one in space.items()}
        trial.params, trial.distributions = values, {name: distribution(space[name]) for name in values}
    return ended
