"""The store of a sweep: a study of Optuna, how it is reached, and trials whose worker is dead."""

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
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

HEARTBEAT, GRACE = 30, 120  # seconds between signs of life of a trial, and until one without is begun again
RETRIES = 2
MEETINGS = 5  # times that two machines may get into each other's way where a store is made


@dataclass(frozen=True)
class Place:
    """A study of Optuna: where it is kept, and its name there."""

    url: str
    name: str


def opened(place: Place, sampler: BaseSampler | None = None) -> optuna.Study:
    """The study at a place, made where there is none.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
    """
    with reaching(place.url):
        return optuna.create_study(
            storage=storage(place.url),
            study_name=place.name,
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
            direction="maximize",
            load_if_exists=True,
        )


def storage(url: str) -> RDBStorage:
    """The database at a URL, its tables made where there are none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # of a trial that fails it would print the traceback
    for _ in range(MEETINGS):
        try:
            return _storage(url)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if isinstance(error, OperationalError) and "already exists" not in str(error):
                raise
            time.sleep(1)  # another machine makes the tables at this very moment
    return _storage(url)


def _storage(url: str) -> RDBStorage:
    file = _file_of(url)
    begun_here = file is not None and not file.exists()
    try:
        return _made(url)
    except OperationalError as error:
        if file is not None and begun_here and "disk is full" in str(error):
            file.unlink(missing_ok=True)  # tables half made would be in the way of the next call
        raise


def _file_of(url: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _made(url: str) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, by which a killed trial is made again
        return RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=_again)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Inside the block, what goes wrong with the store becomes one line.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
        OSError: its disk is full.
    """
    before, threading.excepthook = threading.excepthook, _unless_heartbeat
    try:
        yield
    except ImportError as error:  # in Optuna's words, of which the cause says more
        if error.name is None and error.__cause__ is None:  # a back end's, which says already what to install
            raise
        reason = error.__cause__ or error
        raise ModuleNotFoundError(
            f"the store {shown(url)} needs a driver ({reason}); pip install 'flatrec[postgresql]' and write the "
            "address as postgresql+psycopg://…"
        ) from None
    except Exception as error:
        lost = _of_store(error)
        if lost is None:
            raise
        raise _in_a_line(url, lost) from None
    finally:
        threading.excepthook = before


def shown(url: str) -> str:
    """The address of a store for messages: without the password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _in_a_line(url: str, lost: BaseException) -> OSError:
    reason = str(lost.__cause__ or lost).strip().splitlines()[0]
    if "disk is full" in reason:  # SQLite's words
        return OSError(f"cannot write the store {shown(url)}: the disk is full; free some space and start again")
    if isinstance(lost, ArgumentError):
        reason = "it is no address"
    return ConnectionError(
        f"the store {shown(url)} cannot be reached or read ({reason}); give --storage an address such as "
        "sqlite:///trials.db or postgresql+psycopg://user@host/name"
    )


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


def requeue(study: optuna.Study, given_up: Callable[[FrozenTrial], bool]) -> None:
    """Queue trials again that look as if they were under way, but whose worker is known to be dead.

    For trials of others the store finds out by itself, as they give no sign of life for some time.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if given_up(trial):
            try:
                study.tell(trial.number, state=TrialState.FAIL)
            except ValueError:  # another machine was faster
                continue
            _again(study, trial)


def under_way(study: optuna.Study) -> int:
    """How many trials somebody works on; those that give no sign of life are queued again first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    return sum(one.state == TrialState.RUNNING for one in study.get_trials(deepcopy=False))
