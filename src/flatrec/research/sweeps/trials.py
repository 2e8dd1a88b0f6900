"""One trial of a sweep: it trains settings that the store proposes, and is scored by validation or pruned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.research.studies.base import Label, PlannedRun, Source
from flatrec.research.studies.runner import train_or_wait
from flatrec.research.sweeps.space import Space, suggest, with_values
from flatrec.research.sweeps.store import GRACE, StudyAddress, open_study, requeue, store_errors
from flatrec.runs import selection
from flatrec.training import EpochRecord
from flatrec.utils import seeding
from flatrec.utils.messages import message, place_of, raised
from flatrec.utils.user_classes import short

TIE_BREAKER = "tie breaker"  # attribute of a trial with its NDCG, which decides between equal scores
_JOB = "job"  # attribute of a trial with the id of its job


@dataclass(frozen=True)
class TrialJob:
    """What a worker needs for one trial.

    Args:
        job_id: id of the job, unique in the store; random proposals follow from it.
        address: address of the study in its store.
        sampler: name of the sampler.
        space: settings to try.
        experiment: all other settings.
        runs: folder of run folders.
        n_trials: number of trials that the store is to hold in the end, whoever makes them.
        data: data set in memory; None for that which the experiment names.
    """

    job_id: str
    address: StudyAddress
    sampler: str
    space: Space
    experiment: Experiment
    runs: Path
    n_trials: int
    data: Dataset | None = None

    @property
    def name(self) -> str:
        """Name for people; the store may give the trial another number, if earlier trials were made again."""
        return f"trial {self.job_id.rpartition(' ')[2]}"


def run_trial(job: TrialJob) -> str | None:
    """Make one trial, unless the store has enough; return its error if it failed.

    Raises:
        ConnectionError: the store cannot be reached.
    """
    begun: list[optuna.Trial] = []
    errors: list[str] = []

    def objective(trial: optuna.Trial) -> float:
        begun.append(trial)
        trial.set_user_attr(_JOB, job.job_id)
        try:
            return _score(trial, job)
        except optuna.TrialPruned:
            raise
        except Exception as error:  # a user's class may raise anything, and the other trials go on
            errors.append(f"trial {trial.number}: {raised(error) if place_of(error) else message(error)}")
            trial.set_user_attr("error", errors[-1])
            raise

    study = open_study(job.address, _sampler(job))
    with store_errors(job.address.url):
        requeue(
            study, lambda trial: trial.user_attrs.get(_JOB) == job.job_id
        )  # the first worker of this job may have died
        if has_enough(study, job.n_trials):
            return None
        try:
            study.optimize(objective, n_trials=1, catch=(Exception,))
        except (ValueError, UpdateFinishedTrialError):
            if not begun or not _was_requeued(study, begun[0].number):
                raise
            return f"trial {begun[0].number}: it had no heartbeat for {GRACE} s, so another machine made it again"
    return errors[0] if errors else None


def _was_requeued(study: optuna.Study, number: int) -> bool:
    """Return True if another machine took a running trial for dead; its result cannot be stored any more."""
    return study.get_trials(deepcopy=False)[number].state == TrialState.FAIL


def has_enough(study: optuna.Study, n_trials: int) -> bool:
    """Return True if so many trials have ended or are running."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return len(states) - states.count(TrialState.WAITING) - states.count(TrialState.FAIL) >= n_trials


def planned_run(experiment: Experiment, data: Dataset | None = None) -> PlannedRun:
    """Return a run of these settings as studies have it; runs of equal settings share a folder.

    Args:
        experiment: settings of the run.
        data: data set in memory; None for that which the experiment names.
    """
    labels: dict[str, Label] = {
        "model": short(experiment.model.name),
        "strategy": short(experiment.strategy.name),
        "seed": experiment.seed,
    }
    return PlannedRun(labels, Source(experiment.data if data is None else data, experiment.split), experiment)


def _score(trial: optuna.Trial, job: TrialJob) -> float:
    better = max if job.address.higher_is_better else min
    run = planned_run(with_values(job.experiment, suggest(job.space, trial)), job.data)
    result = train_or_wait(job.runs / run.folder, run.experiment, run.source.load(), [_Pruning(trial, better)])
    trial.set_user_attr("folder", run.folder)
    trial.set_user_attr("best_epoch", result["best_epoch"])
    trial.set_user_attr(TIE_BREAKER, selection.tie_breaker_of(result))
    return selection.score_of(result)


class _Pruning:
    """Callback that reports validation scores to the store, and ends a run that is worse than the median of the others.

    Args:
        trial: trial of the run.
        better: returns the better of two scores.
    """

    def __init__(self, trial: optuna.Trial, better: Callable[[float, float], float]) -> None:
        self.trial = trial
        self.better = better
        self.best: float | None = None

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Do nothing."""

    def on_step(self, epoch: int, step: int) -> None:
        """Do nothing."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Report the best score so far."""
        if record.monitor in record.valid:
            score = record.valid[record.monitor]
            self.best = score if self.best is None else self.better(self.best, score)
            self.trial.report(self.best, record.epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned(f"worse than the median of the others at epoch {record.epoch}")

    def on_end(self) -> None:
        """Do nothing."""


def _sampler(job: TrialJob) -> BaseSampler:
    """Return a sampler with its own random proposals; for a grid the proposals are in the store already."""
    seed = seeding.derive_seed(job.experiment.seed, f"sweep {job.job_id}") % 2**32
    if job.sampler == "tpe":
        return TPESampler(seed=seed, constant_liar=True)
    return RandomSampler(seed=seed)
