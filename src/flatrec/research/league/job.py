"""One run of a league, in a worker: it is trained, or read where it is finished, and recorded."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import Any

import torch

from flatrec import __version__
from flatrec.api import load_run
from flatrec.config import Experiment, Option
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES
from flatrec.registry.instantiate import build_strategy
from flatrec.research.league.curve import Curve, points_of
from flatrec.research.league.records import Kind, Record, decisive_settings
from flatrec.research.robustness.registry import DISTURBANCES
from flatrec.research.robustness.subject import Subject
from flatrec.research.studies.base import PlannedRun, Source
from flatrec.research.studies.runner import train_or_wait
from flatrec.runs import selection
from flatrec.runs.session import choose_device
from flatrec.sampling.sampler import Sampler
from flatrec.training.records import read_lines
from flatrec.training.trainer import RECORDS, DivergedError
from flatrec.utils.messages import message, place_of, raised


@dataclass(frozen=True)
class Job:
    """What a worker needs for one run.

    Args:
        kind: trial or final.
        cell: name of the cell.
        method: name of the method.
        number: number of the trial, or place of the final seed.
        point: values of the method's space.
        experiment: all settings of the run.
        runs: folder of run folders.
        disturbances: kinds of disturbance under which a final is scored, with their levels.
        draws: draws of each disturbance.
    """

    kind: Kind
    cell: str
    method: str
    number: int
    point: Mapping[str, Option]
    experiment: Experiment
    runs: Path
    disturbances: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    draws: int = 1

    @property
    def name(self) -> str:
        """Name for people."""
        what = f"trial {self.number}" if self.kind == "trial" else f"final, seed {self.experiment.seed}"
        return f"{self.cell} {self.method} {what}"

    @property
    def source(self) -> Source:
        """Where the data come from."""
        return Source(self.experiment.data, self.experiment.split)

    @property
    def folder(self) -> Path:
        """Run folder; runs of equal settings share one."""
        return self.runs / PlannedRun({}, self.source, self.experiment).folder


@dataclass(frozen=True)
class Failed:
    """A run that could not be made, which another call tries again."""

    error: str


def run_job(job: Job) -> Record | Failed:
    """Train a run, or read it where it is finished, and return its record."""
    try:
        dataset = job.source.load()
        try:
            result = train_or_wait(job.folder, job.experiment, dataset)
        except DivergedError as error:  # a result as well: these settings do not train
            return Record(**_identity(job, dataset), error=message(error))
        return _record(job, dataset, result)
    except Exception as error:  # a user's class may raise anything, and the other runs go on
        return Failed(raised(error) if place_of(error) else message(error))


def remove_run(job: Job) -> None:
    """Remove the run folder of a job that is recorded."""
    shutil.rmtree(job.folder, ignore_errors=True)


def window_of(experiment: Experiment) -> int:
    """Return the number of evaluations whose mean is monitored."""
    return int(experiment.training.as_dict().get("monitor_window", 1))


def _identity(job: Job, dataset: Dataset) -> dict[str, Any]:
    experiment = job.experiment
    trained = experiment.model.name not in BASELINES
    return {
        "kind": job.kind,
        "cell": job.cell,
        "method": job.method,
        "number": job.number,
        "seed": experiment.seed,
        "point": dict(job.point),
        "settings": decisive_settings(experiment),
        "fingerprint": dataset.fingerprint,
        "version": __version__,
        "torch": torch.__version__,
        "device": choose_device(experiment).type if trained else "cpu",
        "monitor": selection.monitored(experiment, dataset).metric,
        "window": window_of(experiment),
        "gradients_per_step": float(build_strategy(experiment.strategy).gradients_per_step) if trained else 0.0,
        "steps": _steps(experiment, dataset) if trained else 0,
    }


def _steps(experiment: Experiment, dataset: Dataset) -> int:
    """Return the number of updates per epoch."""
    training = experiment.training
    sampler = Sampler(dataset.interactions, training.batch_size, torch.device("cpu"))
    return sampler.steps(build_strategy(experiment.strategy).batches_per_step, training.second_batch)


def _record(job: Job, dataset: Dataset, result: Mapping[str, Any]) -> Record:
    identity = _identity(job, dataset)
    file = job.folder / RECORDS
    records = read_lines(file) if file.exists() else []
    curve = points_of(records, identity["monitor"], identity["gradients_per_step"] * identity["steps"])
    best_epoch = int(result["best_epoch"])
    smoothed = Curve(curve, identity["window"])
    final = job.kind == "final"
    return Record(
        **identity,
        epochs=int(result["epochs"]),
        best_epoch=best_epoch,
        seconds=round(fsum(record.train_seconds for record in records), 3),
        score=smoothed.at(best_epoch) if curve else selection.score_of(result),
        curve=curve,
        test=dict(result["test"]) if final else {},
        disturbed=_disturbed(job, dataset) if final and job.disturbances else {},
    )


def _disturbed(job: Job, dataset: Dataset) -> dict[str, tuple[Mapping[str, float], ...]]:
    """Return metrics of the test split by kind and level of the disturbances that apply."""
    subject = Subject.of_run(load_run(job.folder, dataset, job.experiment.device), job.experiment, job.name)
    seed = job.experiment.seed
    return {
        f"{kind}={level:g}": tuple(DISTURBANCES[kind].scores(subject, level, seed, draw) for draw in range(job.draws))
        for kind, levels in job.disturbances.items()
        if not DISTURBANCES[kind].reason(subject)
        for level in levels
    }
