"""One trial of a sweep: settings proposed by the store, trained, judged by validation, and given up if hopeless."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from flatrec.config import Experiment
from flatrec.research.studies.base import Label, PlannedRun, Source
from flatrec.research.studies.runner import trained
from flatrec.research.sweeps.space import Space, changed, suggested
from flatrec.research.sweeps.store import GRACE, Place, opened, reaching, requeue
from flatrec.runs import selection
from flatrec.training import EpochRecord
from flatrec.utils import seeding
from flatrec.utils.messages import message, place_of, raised
from flatrec.utils.user_classes import short

TIE_BREAKER = "tie breaker"  # the attribute of a trial that has its NDCG, which tells equal scores apart
_JOB = "job"  # the attribute of a trial that has its job's mark


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


def do(job: TrialJob) -> str | None:
    """Make one trial, unless the store has enough; what it failed by, if it did.

    Raises:
        ConnectionError: the store cannot be reached.
    """
    made: list[optuna.Trial] = []
    errors: list[str] = []

    def objective(trial: optuna.Trial) -> float:
        made.append(trial)
        trial.set_user_attr(_JOB, job.mark)
        try:
            return _score(trial, job)
        except optuna.TrialPruned:
            raise
        except Exception as error:  # a stranger's class may raise anything, and the other trials go on
            errors.append(f"trial {trial.number}: {raised(error) if place_of(error) else message(error)}")
            trial.set_user_attr("error", errors[-1])
            raise

    study = opened(job.place, _sampler(job))
    with reaching(job.place.url):
        requeue(study, lambda trial: trial.user_attrs.get(_JOB) == job.mark)  # where this job's worker died
        if enough(study, job.trials):
            return None
        try:
            study.optimize(objective, n_trials=1, catch=(Exception,))
        except (ValueError, UpdateFinishedTrialError):
            if not made or not _given_up(study, made[0].number):
                raise
            return f"trial {made[0].number}: it gave no sign of life for {GRACE} s, so another machine made it again"
    return errors[0] if errors else None


def _given_up(study: optuna.Study, number: int) -> bool:
    """Whether others took a trial for dead while it was under way; nothing can be said of it any more."""
    return study.get_trials(deepcopy=False)[number].state == TrialState.FAIL


def enough(study: optuna.Study, trials: int) -> bool:
    """Whether so many trials have come to an end, or are under way."""
    states = [one.state for one in study.get_trials(deepcopy=False)]
    return len(states) - states.count(TrialState.WAITING) - states.count(TrialState.FAIL) >= trials


def planned(experiment: Experiment) -> PlannedRun:
    """A run of these settings as studies have it; runs of equal settings share a folder."""
    labels: dict[str, Label] = {
        "model": short(experiment.model.name),
        "strategy": short(experiment.strategy.name),
        "seed": experiment.seed,
    }
    return PlannedRun(labels, Source(experiment.data), experiment)


def _score(trial: optuna.Trial, job: TrialJob) -> float:
    one = planned(changed(job.experiment, suggested(job.space, trial)))
    result = trained(job.runs / one.folder, one.experiment, one.source.load(), [_Pruning(trial)])
    trial.set_user_attr("folder", one.folder)
    trial.set_user_attr("best_epoch", result["best_epoch"])
    trial.set_user_attr(TIE_BREAKER, selection.tie_breaker_of(result))
    return selection.score_of(result)


class _Pruning:
    """Reports each validation score to the store, and ends a run that is below the median of the others."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.best = float("-inf")

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Nothing."""

    def on_step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Report the best so far."""
        if record.monitor in record.valid:
            self.best = max(self.best, record.valid[record.monitor])
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
