"""One trial of a sweep: settings proposed by the store, trained, judged by validation, and given up if hopeless."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from flatrec import seeding
from flatrec.comparison import finished
from flatrec.config import Experiment
from flatrec.messages import message
from flatrec.studies.base import Label, Planned, Source
from flatrec.sweeps.space import Space, changed, suggested
from flatrec.training import EpochRecord
from flatrec.user_classes import short

HEARTBEAT, GRACE = 30, 120  # seconds between signs of life of a trial, and until one without is begun anew
RETRIES = 2
MEETINGS = 5  # times that two machines may get into each other's way where a store is made
_JOB = "job"  # the attribute of a trial that has its job's mark
_EXPECTED = (ValueError, OSError, ArithmeticError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Place:
    """A study of Optuna: where it is kept, and its name there."""

    url: str
    name: str


@dataclass(frozen=True)
class TrialJob:
    """What a worker needs for one trial.

    Args:
        mark: that tells the job from all others that use the store; its random proposals follow from it.
        place: the store.
        sampler: who proposes.
        space: what is tried.
        experiment: everything else.
        runs: the folder of run folders.
        trials: that the store is to hold in the end, whoever makes them.
    """

    mark: str
    place: Place
    sampler: str
    space: Space
    experiment: Experiment
    runs: Path
    trials: int


def opened(place: Place, sampler: BaseSampler | None = None) -> optuna.Study:
    """The study at a place, made where there is none.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching(place):
        for _ in range(MEETINGS):
            try:
                return _opened(place, sampler)
            except (IntegrityError, ProgrammingError):  # another machine makes the tables at this very moment
                time.sleep(1)
        return _opened(place, sampler)


def _opened(place: Place, sampler: BaseSampler | None) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, by which a killed trial is made anew
        storage = RDBStorage(
            place.url, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=_again
        )
    return optuna.create_study(
        storage=storage,
        study_name=place.name,
        sampler=sampler,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
        direction="maximize",
        load_if_exists=True,
    )


@contextmanager
def reaching(place: Place) -> Iterator[None]:
    """Inside the block, what goes wrong with the store becomes one line.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
    """
    before, threading.excepthook = threading.excepthook, _unless_heartbeat
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None:  # a backend's, which says already what to install
            raise
        raise ModuleNotFoundError(
            f"the store {place.url} needs a driver ({error}); pip install 'flatrec[postgresql]' and write the address "
            "as postgresql+psycopg://…"
        ) from None
    except Exception as error:
        lost = _of_store(error)
        if lost is None:
            raise
        reason = str(lost.__cause__ or lost).strip().splitlines()[0]
        raise ConnectionError(f"the store {place.url} cannot be reached or read ({reason}); check --storage") from None
    finally:
        threading.excepthook = before


def _of_store(error: BaseException | None) -> BaseException | None:
    """The error itself or one that led to it; where its store is gone, Optuna trips over a variable of its own."""
    while error is not None and not isinstance(error, (SQLAlchemyError, StorageInternalError)):
        error = error.__cause__ or error.__context__
    return error


def _unless_heartbeat(failed: threading.ExceptHookArgs) -> None:
    """A heartbeat that cannot be written says no more than the trial itself will."""
    if _of_store(failed.exc_value) is None:
        threading.__excepthook__(failed)


def _again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial whose worker died, unless that happened too often."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(study, trial)


def do(job: TrialJob) -> str | None:
    """Make one trial, unless the store has enough; what it failed by, if it did.

    Raises:
        ConnectionError: the store cannot be reached.
    """
    errors: list[str] = []

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(_JOB, job.mark)
        try:
            return _score(trial, job)
        except _EXPECTED as error:
            errors.append(f"trial {trial.number}: {message(error)}")
            trial.set_user_attr("error", errors[-1])
            raise

    study = opened(job.place, _sampler(job))
    with reaching(job.place):
        begin_anew(study, lambda trial: trial.user_attrs.get(_JOB) == job.mark)  # where this job's worker died
        if not enough(study, job.trials):
            study.optimize(objective, n_trials=1, catch=_EXPECTED)
    return errors[0] if errors else None


def begin_anew(study: optuna.Study, given_up: Callable[[FrozenTrial], bool]) -> None:
    """Queue trials again that look as if they were under way, but whose worker is known to be dead.

    For trials of others the store finds out by itself, as they give no sign of life for some time.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if given_up(trial):
            study.tell(trial.number, state=TrialState.FAIL)
            _again(study, trial)


def under_way(study: optuna.Study) -> int:
    """How many trials somebody works on; those that give no sign of life are queued again first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    return sum(one.state == TrialState.RUNNING for one in study.get_trials(deepcopy=False))


def enough(study: optuna.Study, trials: int) -> bool:
    """Whether so many trials have come to an end, or are under way."""
    states = [one.state for one in study.get_trials(deepcopy=False)]
    return len(states) - states.count(TrialState.WAITING) - states.count(TrialState.FAIL) >= trials


def planned(experiment: Experiment) -> Planned:
    """A run of these settings as studies have it; runs of equal settings share a folder."""
    labels: dict[str, Label] = {
        "model": short(experiment.model.name),
        "strategy": short(experiment.strategy.name),
        "seed": experiment.seed,
    }
    return Planned(labels, Source(experiment.data), experiment)


def _score(trial: optuna.Trial, job: TrialJob) -> float:
    one = planned(changed(job.experiment, suggested(job.space, trial)))
    watch = _Pruning(trial, one.experiment.training.monitor)
    result = finished(job.runs / one.folder, one.experiment, one.source.load(), [watch])
    trial.set_user_attr("folder", one.folder)
    trial.set_user_attr("best_epoch", result["best_epoch"])
    return float(result["valid"][one.experiment.training.monitor])


class _Pruning:
    """Reports each validation score to the store, and ends a run that is below the median of the others."""

    def __init__(self, trial: optuna.Trial, monitor: str) -> None:
        self.trial, self.monitor = trial, monitor
        self.best = float("-inf")

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Nothing."""

    def on_step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Report the best so far."""
        if self.monitor in record.valid:
            self.best = max(self.best, record.valid[self.monitor])
            self.trial.report(self.best, record.epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned(f"below the median of the others at epoch {record.epoch}")

    def on_end(self) -> None:
        """Nothing."""


def _sampler(job: TrialJob) -> BaseSampler:
    """One whose proposals no other job makes; for a grid the proposals are in the store already."""
    seed = seeding.number(job.experiment.seed, f"sweep {job.mark}") % 2**32
    if job.sampler == "tpe":
        return TPESampler(seed=seed, constant_liar=True)
    return RandomSampler(seed=seed)
