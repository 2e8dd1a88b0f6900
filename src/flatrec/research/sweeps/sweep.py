"""A whole sweep: trials until there are enough, then the winner on fresh seeds."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import optuna
from optuna.trial import TrialState

from flatrec.api import check_undivided, log_data_warnings
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES
from flatrec.registry.instantiate import with_defaults
from flatrec.research.execution import JobCallback, Lost, NoCallback, Workers, execute
from flatrec.research.reporting.study_result import StudyResult
from flatrec.research.studies.runner import RUNS
from flatrec.research.sweeps.confirmation import Making, Search, confirm
from flatrec.research.sweeps.identity import Identity
from flatrec.research.sweeps.shared_study import enter_study
from flatrec.research.sweeps.space import Choices, Space, default_space, grid, with_values
from flatrec.research.sweeps.store import StudyAddress, count_running, open_study, requeue, store_errors
from flatrec.research.sweeps.trials import TrialJob, planned_run, run_trial
from flatrec.runs import selection
from flatrec.utils.locks import lock_folder

STORE = "trials.sqlite3"
MAX_TRIALS = 1_000_000
PAUSE = 2  # seconds between two looks at the trials of other machines

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What to search.

    Args:
        experiment: all settings that are not tried; its seed is that of all trials.
        space: settings to try; by default those that the model and the strategy propose.
        sampler: ``grid`` for every combination, ``random``, or ``tpe``, which learns from earlier trials.
        n_trials: number of trials; for a grid the largest number.
        seeds: fresh seeds, on which the winner and the settings as given are trained again and tested.
        storage: URL of the store; if empty, a SQLite file in the output folder.
        name: name of the sweep in the store; several machines that give the same name share their trials.

    Raises:
        ValueError: a number is out of range, or the seed of the trials is among the fresh ones.
    """

    experiment: Experiment
    space: Space | None = None
    sampler: str = "tpe"
    n_trials: int = 20
    seeds: tuple[int, ...] = ()
    storage: str = ""
    name: str = "sweep"

    def __post_init__(self) -> None:
        if not 1 <= self.n_trials <= MAX_TRIALS:
            raise ValueError(f"trials must lie between 1 and {MAX_TRIALS}, but is {self.n_trials}")
        if self.sampler not in ("grid", "random", "tpe"):
            raise ValueError(f"sampler must be grid, random or tpe, but is {self.sampler!r}")
        if self.experiment.seed in self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"fresh seeds must differ, and from the trials' {self.experiment.seed}, but are {self.seeds}"
            )

    @property
    def proposed_space(self) -> Space:
        """The space, or the default one of the model and the strategy."""
        if self.space:
            return self.space
        chosen = with_defaults(self.experiment)
        return default_space(chosen.model.name, chosen.strategy.name, chosen.regularization.kind)


def run_sweep(
    sweep: Sweep,
    out: Path,
    *,
    dataset: Dataset | None = None,
    workers: Workers | None = None,
    callback: JobCallback | None = None,
) -> StudyResult:
    """Search for settings, confirm the winner on fresh seeds, and write tables, figures and ``study.json``.

    Trials are scored on the validation split alone. The test split is used once, for the winner and for the settings as
    given, on seeds that no trial used. A sweep that is started again goes on with its store; if its space has grown,
    earlier trials count as trials of the new space. Machines that share a store wait for one another's trials, so that
    all choose the same winner.

    Args:
        sweep: what to search.
        out: folder for ``runs``, ``tables``, ``figures`` and ``study.json``.
        dataset: data set in memory, which travels to the workers; by default that which the experiment names.
        workers: processes or cluster that make the trials; by default they are made one after the other in this
            process.
        callback: what is told of the trials, and then of the runs on fresh seeds, as they begin and end.

    Raises:
        ValueError: a setting is unknown, no trial could be finished, or the store has a sweep of this name with other
            data or settings, or with trials outside of the space.
        InUseError: another process runs a study or sweep in ``out``.
        ConnectionError: the store cannot be reached.
    """
    sweep = replace(sweep, experiment=with_defaults(sweep.experiment), space=sweep.proposed_space)
    experiment, space = sweep.experiment, sweep.proposed_space
    making = Making(workers or Workers(), callback or NoCallback())
    _check(space, experiment)
    given, dataset = dataset, planned_run(experiment, dataset).source.load()
    check_undivided(dataset)
    if not dataset.interactions.count("valid"):
        raise ValueError(
            f"a sweep scores trials on validation, but the validation split of {dataset.name!r} is empty; split the "
            "data again"
        )
    selection.check(experiment, dataset)
    log_data_warnings(dataset)
    monitor = selection.monitored(experiment, dataset).metric
    identity = Identity.of(experiment, dataset, space, monitor=monitor, sampler=sweep.sampler)

    def enter() -> StudyAddress:
        url = sweep.storage or f"sqlite:///{out / STORE}"
        return enter_study(url, sweep.name, identity, space, alone=not sweep.storage)

    if sweep.storage:
        enter()  # errors show before any folder is made
    (out / RUNS).mkdir(parents=True, exist_ok=True)
    with lock_folder(out, "runs a study or sweep"):
        if experiment.model.name not in BASELINES:
            selection.log_warnings(selection.choice_warnings(experiment, dataset))
        study, errors, n_reused = _search(sweep, enter(), out / RUNS, making, data=given)
        search = Search(experiment, given, space, monitor, study.get_trials(deepcopy=False), tuple(errors))
        settings = {"sampler": sweep.sampler, "trials": str(sweep.n_trials)}
        return confirm(search, sweep.seeds, out, replace(making, n_reused=n_reused), settings=settings)


def _search(
    sweep: Sweep,
    address: StudyAddress,
    runs: Path,
    making: Making,
    *,
    data: Dataset | None,
) -> tuple[optuna.Study, list[str], int]:
    """Make trials until there are enough; return the study, the errors of those made here, and the number of others."""
    study = open_study(address)
    shared = bool(sweep.storage)
    if not shared:
        requeue(study, lambda _trial: True)
    n_wanted = _enqueue_grid(study, sweep) if sweep.sampler == "grid" else sweep.n_trials
    errors: list[str] = []
    n_made = 0

    def begin(job: TrialJob) -> None:
        making.callback.on_begin(job.name)

    def make(count: int) -> None:
        prefix = uuid4().hex if shared else ""  # other machines number their jobs in the same way
        first = len(study.get_trials(deepcopy=False))
        job_ids = [f"{prefix} {first + index}" for index in range(count)]
        what = (address, sweep.sampler, sweep.proposed_space, sweep.experiment, runs, n_wanted, data)
        making.callback.on_plan(count + 2 * len(sweep.seeds), n_wanted - count - n_made)

        def take(job: TrialJob, done: str | None | Lost) -> None:
            nonlocal n_made
            n_made += 1
            error = done.error if isinstance(done, Lost) else done
            errors.extend([error] if error else [])
            making.callback.on_done(job.name, error)

        execute(run_trial, [TrialJob(job_id, *what) for job_id in job_ids], making.workers, take, on_begin=begin)

    with store_errors(address.url):
        n_missing = n_wanted - _count_ended(study)
        while n_missing > 0:
            make(n_missing)
            n_missing = min(n_wanted - _count_ended(study), _count_requeued(study)) if shared else 0
    return open_study(address), errors, max(0, n_wanted - n_made)


def _count_requeued(study: optuna.Study) -> int:
    """Wait for trials of other machines; return how many are queued again, since their worker died."""
    if n_running := count_running(study):
        logger.warning("waiting for trials of other machines: %d", n_running)
    while count_running(study):
        time.sleep(PAUSE)
    return sum(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False))


def _check(space: Space, experiment: Experiment) -> None:
    """Make sure that every setting exists and takes its first value and its last."""
    for name, dimension in space.items():
        values = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
        for value in (values[0], values[-1]):
            with_values(experiment, {name: value})


def _enqueue_grid(study: optuna.Study, sweep: Sweep) -> int:
    """Put the grid into the store; return the number of its trials."""
    proposals = grid(sweep.proposed_space)[: sweep.n_trials]
    trials = study.get_trials(deepcopy=False)
    present = [
        trial.system_attrs.get("fixed_params", trial.params) for trial in trials if trial.state != TrialState.FAIL
    ]
    for values in proposals:
        as_text = {name: str(value) for name, value in values.items()}
        if as_text not in present:
            study.enqueue_trial(as_text)
    return len(proposals)


def _count_ended(study: optuna.Study) -> int:
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return sum(trial.state in ended for trial in study.get_trials(deepcopy=False))
