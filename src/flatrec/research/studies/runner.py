"""Carry out a study: its runs, wherever they go on, then its tables, figures and sentences in one folder."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flatrec import config
from flatrec.api import load_run, run_or_resume
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES
from flatrec.research.execution import Lost, Workers, execute
from flatrec.research.reporting import outcome as outcomes
from flatrec.research.reporting.formats import write_tables
from flatrec.research.reporting.outcome import Failure, Outcome
from flatrec.research.reporting.plots import save
from flatrec.research.studies.base import (
    Conclusion,
    Finished,
    Measure,
    Planned,
    Request,
    Source,
    Study,
    checked,
    named,
    with_named,
)
from flatrec.runs import selection
from flatrec.runs.run_dir import has_run
from flatrec.training import Callback
from flatrec.training.records import read_lines
from flatrec.training.trainer import RECORDS
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal
from flatrec.utils.locks import InUseError, held
from flatrec.utils.messages import message, place_of, raised

RUNS, FIGURES, TABLES = "runs", "figures", "tables"
PAUSE = 1  # seconds between looks at what another process trains
# What a run may fail by without ending the study: bad data or settings, a full disk, divergence, memory.
_EXPECTED = (ValueError, KeyError, OSError, RuntimeError, ArithmeticError, MemoryError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A run, and the folder that holds all runs."""

    planned: Planned
    runs: Path


def run_study(
    name: str,
    study: Study,
    request: Request,
    out: Path,
    *,
    runs: Path | None = None,
    workers: Workers | None = None,
    on_run: Callable[[Planned, str | None, int], None] = lambda _planned, _error, _left: None,
) -> Outcome:
    """Do what is left of a study, and conclude.

    A run that is finished is never done twice, and studies that are given the same folder of runs share them. What is
    killed goes on when the study is started again.

    Args:
        name: of the study.
        study: what to carry out.
        request: what it looks at.
        out: gets ``tables``, ``figures`` and ``study.json``.
        runs: gets the run folders; ``runs`` in ``out`` if left out.
        workers: who does the runs; one after the other here if left out.
        on_run: hears of each run as it ends, of its error if it failed, and of how many are left.

    Raises:
        ValueError: the request does not suit the study, or no run of it could be finished.
        InUseError: another process carries out something in ``out``.
        OSError: the folder cannot be written to.
    """
    request = with_named(request)
    checked(request, type(study))
    planned = study.plan(request)
    runs = runs or out / RUNS
    for path in (out, runs):
        path.mkdir(parents=True, exist_ok=True)
    with held(out, "carries out a study or sweep"):
        (out / outcomes.OUTCOME).unlink(missing_ok=True)  # it would not be that of the runs that follow
        finished, failures = _parted(_ended(planned, runs, workers or Workers(), on_run))
        conclusion = study.analyze(request, named(finished))
        write(out, conclusion)
        outcome = Outcome(
            name,
            type(study).TITLE,
            type(study).QUESTION,
            conclusion.tables,
            tuple(image for image, _ in conclusion.figures),
            conclusion.findings,
            failures,
            _settings(study, request),
            _fingerprints(finished),
        )
        outcomes.write(out, outcome)
    return outcome


def _ended(
    planned: Sequence[Planned], runs: Path, workers: Workers, on_run: Callable[[Planned, str | None, int], None]
) -> list[tuple[Planned, Finished | Failure]]:
    """What came of each run; those that share a folder are done once."""
    jobs = list({one.folder: Job(one, runs) for one in _with_all_measures(planned)}.values())
    selection.log_warnings(_remarks(planned))
    ended: dict[str, Finished | Failure] = {}

    def take(job: Job, done: Finished | Failure | Lost) -> None:
        found = Failure(job.planned.name, done.error) if isinstance(done, Lost) else done
        ended[job.planned.folder] = found
        on_run(job.planned, found.error if isinstance(found, Failure) else None, len(jobs) - len(ended))

    execute(do, jobs, workers, take)
    return [(one, ended[one.folder]) for one in planned]


def _remarks(planned: Sequence[Planned]) -> list[str]:
    """What is to be said, once for all runs, of how their epochs are chosen."""
    said: list[str] = []
    differing = {
        (replace(one.source, texts=None), one.experiment.training, one.experiment.evaluation): one
        for one in planned
        if one.experiment.model.name not in BASELINES
    }
    for (source, _, _), one in differing.items():
        with suppress(*_EXPECTED):  # what cannot be read is what the runs themselves fail by
            said += selection.choice_warnings(one.experiment, source.load())
    return said


def do(job: Job) -> Finished | Failure:
    """Train a run and measure it, or take up what is there of both."""
    planned, path = job.planned, job.runs / job.planned.folder
    try:
        dataset = planned.source.load()
        result = trained(path, planned.experiment, dataset)
        measured = {one.NAME: _measured(one, path, planned) for one in planned.measures}
        records = tuple(read_lines(path / RECORDS)) if (path / RECORDS).exists() else ()
        return Finished(planned, dataset.name, dataset.fingerprint, result, records, measured)
    except Exception as error:  # a stranger's class may raise anything, and the other runs go on
        return Failure(planned.name, raised(error) if place_of(error) else message(error))


def trained(
    path: Path, experiment: Experiment, dataset: Dataset, callbacks: Sequence[Callback] = ()
) -> Mapping[str, Any]:
    """The result of a run, made here or by whoever trains it at the moment.

    Raises:
        ValueError: the folder holds a run of something else.
        OSError: the folder cannot be written to.
    """
    waited = met = False
    while True:
        try:
            return run_or_resume(path, experiment, dataset, callbacks)
        except InUseError:
            if not waited:
                logger.warning("waiting for another process, which trains in %s", path)
            waited = True
            time.sleep(PAUSE)
        except FileExistsError:  # of a run that another process began, and ended, since there was none here
            if met or not has_run(path):
                raise
            met = True


def _with_all_measures(planned: Sequence[Planned]) -> list[Planned]:
    """Runs that share a folder with all that any of them wants measured."""
    wanted: dict[str, dict[Measure, None]] = {}
    for one in planned:
        wanted.setdefault(one.folder, {}).update(dict.fromkeys(one.measures))
    return [replace(one, measures=tuple(wanted[one.folder])) for one in planned]


def _measured(measure: Measure, path: Path, planned: Planned) -> Mapping[str, Any]:
    """What was measured, now or earlier with the same settings."""
    digest = hashlib.blake2b(repr(measure).encode(), digest_size=4).hexdigest()
    file = path / f"{measure.NAME}-{digest}.json"
    if file.exists():
        try:
            return read_sealed(file, advice="it is measured again")
        except ValueError as error:
            logger.warning("%s", error)
            file.unlink()
    run = load_run(path, planned.source.load(), planned.experiment.device)
    values = measure(run, planned.experiment)
    write_text(file, seal(values) + "\n")
    return values


def _fingerprints(finished: Sequence[Finished]) -> dict[str, str]:
    """Of the data sets as they were given, whatever a study splits or replaces in them."""
    return {one.dataset: Source(one.planned.source.path).load().fingerprint for one in finished}


def _parted(
    ended: Sequence[tuple[Planned, Finished | Failure]],
) -> tuple[list[Finished], tuple[Failure, ...]]:
    """What a study can draw on, each under its own labels, and what failed."""
    finished = [replace(one, planned=planned) for planned, one in ended if isinstance(one, Finished)]
    failures = tuple(Failure(planned.name, one.error) for planned, one in ended if isinstance(one, Failure))
    if failures and not finished:
        raise ValueError(f"no run of the study could be finished; the first, {failures[0].run}: {failures[0].error}")
    return finished, failures


def write(out: Path, conclusion: Conclusion) -> None:
    """Put tables and figures into their folders."""
    for part in (TABLES, FIGURES):
        (out / part).mkdir(exist_ok=True)
    write_tables(out / TABLES, conclusion.tables)
    for image, figure in conclusion.figures:
        save(figure, out / FIGURES, image.name)


def _settings(study: Study, request: Request) -> dict[str, str]:
    listed = {
        "data": ", ".join(request.data),
        "models": ", ".join(request.models),
        "strategies": ", ".join(request.strategies),
        "seeds": ", ".join(map(str, request.seeds)),
    }
    own = {f"study.{key}": str(value) for key, value in vars(study).items()}
    usual = config.settings(Experiment())
    changed = {key: str(value) for key, value in config.settings(request.base).items() if usual.get(key) != value}
    return {**{key: value for key, value in listed.items() if value}, **own, **changed}
