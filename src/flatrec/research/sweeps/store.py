"""The store of a sweep: a study of Optuna, how it is opened, and trials whose worker is dead."""

from __future__ import annotations

import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from flatrec.utils.keyed_table import sqlite_code

HEARTBEAT, GRACE = 30, 120  # seconds between heartbeats of a trial, and until a trial without one is queued again
RETRIES = 2  # times that a trial is queued again
CREATION_ATTEMPTS = 5  # where several machines create a store at the same time


@dataclass(frozen=True)
class StudyAddress:
    """Address of a study of Optuna: URL of its store, its name there, and the direction in which trials are better."""

    url: str
    name: str
    higher_is_better: bool = True

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The direction as Optuna has it."""
        return "maximize" if self.higher_is_better else "minimize"


def open_study(address: StudyAddress, sampler: BaseSampler | None = None) -> optuna.Study:
    """Open a study; create it where there is none.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
    """
    with store_errors(address.url):
        return optuna.create_study(
            storage=open_storage(address.url),
            study_name=address.name,
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
            direction=address.direction,
            load_if_exists=True,
        )


def open_storage(url: str) -> RDBStorage:
    """Open the database at a URL; create its tables where there are none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would print the traceback of a trial that fails
    for _ in range(CREATION_ATTEMPTS):
        try:
            return _storage(url)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if isinstance(error, OperationalError) and sqlite_code(error) != sqlite3.SQLITE_ERROR:
                raise
            time.sleep(1)  # another machine creates the tables at this moment (SQLite: "already exists")
    return _storage(url)


def _storage(url: str) -> RDBStorage:
    file = _sqlite_file(url)
    is_new = file is not None and not file.exists()
    try:
        return _connected(url)
    except OperationalError as error:
        if file is not None and is_new and sqlite_code(error) == sqlite3.SQLITE_FULL:
            file.unlink(missing_ok=True)  # incomplete tables would be in the way of the next call
        raise


def _sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite store; None for any other store."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _connected(url: str) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, by which a killed trial is found
        return RDBStorage(
            url, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=_queue_again
        )


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn errors of the store inside the block into one line.

    Raises:
        ConnectionError: the store cannot be reached.
        ModuleNotFoundError: the database needs a driver that is not installed.
        OSError: its disk is full.
    """
    before, threading.excepthook = threading.excepthook, _ignore_heartbeat_errors
    try:
        yield
    except ImportError as error:  # raised by Optuna; its cause says more
        if error.name is None and error.__cause__ is None:  # a back end says already what to install
            raise
        reason = error.__cause__ or error
        raise ModuleNotFoundError(
            f"the store {without_password(url)} needs a driver ({reason}); pip install 'flatrec[postgresql]' and write "
            "the URL as postgresql+psycopg://…"
        ) from None
    except Exception as error:
        store_error = _store_error(error)
        if store_error is None:
            raise
        raise _one_line(url, store_error) from None
    finally:
        threading.excepthook = before


def without_password(url: str) -> str:
    """Return the URL of a store for messages."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _one_line(url: str, error: BaseException) -> OSError:
    reason = str(error.__cause__ or error).strip().splitlines()[0]
    if sqlite_code(error) == sqlite3.SQLITE_FULL:
        return OSError(
            f"cannot write the store {without_password(url)}: the disk is full; free some space and start again"
        )
    if isinstance(error, ArgumentError):
        reason = "it is not a URL"
    return ConnectionError(
        f"the store {without_password(url)} cannot be reached or read ({reason}); give --storage a URL such as "
        "sqlite:///trials.db or postgresql+psycopg://user@host/name"
    )


def _store_error(error: BaseException | None) -> BaseException | None:
    """Return the error of a store that caused an error; if the store is gone, Optuna raises one of its own after it."""
    while error is not None and not isinstance(error, (SQLAlchemyError, StorageInternalError)):
        error = error.__cause__ or error.__context__
    return error


def _ignore_heartbeat_errors(failed: threading.ExceptHookArgs) -> None:
    """Ignore that a heartbeat cannot be written, since the trial itself will fail by the same error."""
    if _store_error(failed.exc_value) is None:
        threading.__excepthook__(failed)


def _queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial whose worker died, unless that happened too often."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(study, trial)


def requeue(study: optuna.Study, is_dead: Callable[[FrozenTrial], bool]) -> None:
    """Queue trials again that are marked as running, but whose worker is known to be dead.

    Dead trials of other machines are found by the store itself, since their heartbeats stop.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_dead(trial):
            try:
                study.tell(trial.number, state=TrialState.FAIL)
            except ValueError:  # another machine was faster
                continue
            _queue_again(study, trial)


def count_running(study: optuna.Study) -> int:
    """Return the number of running trials; dead ones are queued again first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    return sum(one.state == TrialState.RUNNING for one in study.get_trials(deepcopy=False))
