"""Run a study: its runs, here or on workers, then its tables, figures and sentences in one folder."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flatrec import config
from flatrec.api import check_undivided, load_run, log_data_warnings, run_or_resume
from flatrec.config import Experiment
from flatrec.config.old_words import NAMES, new_name
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES
from flatrec.research.execution import JobCallback, Lost, NoCallback, Workers, execute
from flatrec.research.reporting.formats import write_tables
from flatrec.research.reporting.plots import save
from flatrec.research.reporting.study_result import STUDY_FILE, Failure, StudyResult, write_study_result
from flatrec.research.studies import STUDIES
from flatrec.research.studies.base import (
    Analysis,
    FinishedRun,
    Measure,
    PlannedRun,
    Request,
    Source,
    Study,
    StudyRuns,
    check_request,
    name_data_sets,
)
from flatrec.research.studies.registry import ENTRIES
from flatrec.runs import selection
from flatrec.runs.run_dir import has_result, has_run
from flatrec.training import Callback
from flatrec.training.records import read_lines
from flatrec.training.trainer import RECORDS
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal
from flatrec.utils.locks import InUseError, lock_folder
from flatrec.utils.messages import message, place_of, raised, unknown

RUNS, FIGURES, TABLES = "runs", "figures", "tables"
PAUSE = 1  # seconds between two looks at a run that another process trains
# Errors of a run that do not end the study: bad data or settings, a full disk, divergence, memory.
_EXPECTED = (ValueError, KeyError, OSError, RuntimeError, ArithmeticError, MemoryError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A planned run, and the folder that holds all runs."""

    planned: PlannedRun
    runs: Path


def build_study(name: str, settings: Mapping[str, object] | None = None) -> Study:
    """Make a study from its name and its own settings.

    Raises:
        ValueError: there is no study of that name, or a setting is unknown or out of range.
    """
    if name not in ENTRIES:
        new = new_name(name, ENTRIES, NAMES)
        raise ValueError(f"unknown study {name!r}{new}" if new else unknown("study", name, list(ENTRIES)))
    study: Study = config.instantiate(STUDIES[name], dict(settings or {}), "study")
    return study


def run_study(
    study: Study | str,
    out: Path,
    request: Request | None = None,
    *,
    runs: Path | None = None,
    workers: Workers | None = None,
    callback: JobCallback | None = None,
) -> StudyResult:
    """Train what is missing of a study, analyze its runs, and write tables, figures and ``study.json``.

    A finished run is never trained twice, and studies with the same folder of runs share them. A study that was killed
    goes on when it is started again.

    Args:
        study: a study, or the name of one.
        out: folder for ``tables``, ``figures`` and ``study.json``.
        request: data, models, strategies, seeds and settings; by default those of the study, on the built-in shop.
        runs: folder for the run folders; by default ``runs`` in ``out``.
        workers: processes or cluster that train the runs; by default they are trained one after the other in this
            process.
        callback: what is told of the runs as they begin and end.

    Raises:
        ValueError: the request does not suit the study, or no run of it could be finished.
        InUseError: another process runs a study or sweep in ``out``.
        OSError: the folder cannot be written to.
    """
    study = build_study(study) if isinstance(study, str) else study
    request = (request or Request()).completed(type(study))
    check_request(request, type(study))
    planned = study.plan(request)
    for source in request.sources:
        dataset = source.load()
        check_undivided(dataset)
        log_data_warnings(dataset)
    runs = runs or out / RUNS
    for path in (out, runs):
        path.mkdir(parents=True, exist_ok=True)
    with lock_folder(out, "runs a study or sweep"):
        (out / STUDY_FILE).unlink(missing_ok=True)  # it would not belong to the runs that follow
        finished, failures = _finished_and_failed(
            _run_all(planned, runs, workers or Workers(), callback or NoCallback())
        )
        analysis = study.analyze(StudyRuns(request, name_data_sets(finished)))
        write_analysis(out, analysis)
        result = StudyResult(
            study.NAME,
            study.TITLE,
            study.QUESTION,
            analysis.tables,
            tuple(image for image, _ in analysis.figures),
            analysis.findings,
            failures,
            _settings(study, request),
            _fingerprints(finished),
            analysis.card_columns,
        )
        write_study_result(out, result)
    return result


def _run_all(
    planned: Sequence[PlannedRun], runs: Path, workers: Workers, callback: JobCallback
) -> list[tuple[PlannedRun, FinishedRun | Failure]]:
    """Train and measure all runs."""
    selection.log_warnings(_warnings(planned))
    work = RunWork(planned, runs, workers)
    callback.on_plan(work.n_left, work.n_reused)
    return work.do(callback)


class RunWork:
    """Planned runs that are to be trained and measured; those that share a folder are trained once.

    Args:
        planned: the runs.
        runs: folder of run folders.
        workers: processes or cluster that train them.
    """

    def __init__(self, planned: Sequence[PlannedRun], runs: Path, workers: Workers) -> None:
        self.planned, self.workers = planned, workers
        jobs = {run.folder: Job(run, runs) for run in _with_all_measures(planned)}
        self.reused = {name: job for name, job in jobs.items() if has_result(runs / name)}
        self.fresh = {name: job for name, job in jobs.items() if name not in self.reused}
        self.n_left, self.n_reused = len(self.fresh), len(self.reused)

    def do(self, callback: JobCallback) -> list[tuple[PlannedRun, FinishedRun | Failure]]:
        """Train and measure the runs, first those that are trained already; return what came of each planned run."""
        ended: dict[str, FinishedRun | Failure] = {}

        def begin(job: Job) -> None:
            if job.planned.folder in self.fresh:
                callback.on_begin(job.planned.name)

        def take(job: Job, done: FinishedRun | Failure | Lost) -> None:
            run = Failure(job.planned.name, done.error) if isinstance(done, Lost) else done
            ended[job.planned.folder] = run
            error = run.error if isinstance(run, Failure) else None
            if error or job.planned.folder in self.fresh:
                callback.on_done(job.planned.name, error)

        execute(run_job, [*self.reused.values(), *self.fresh.values()], self.workers, take, on_begin=begin)
        return [(run, ended[run.folder]) for run in self.planned]


def _warnings(planned: Sequence[PlannedRun]) -> list[str]:
    """Return what is to be said, once for all runs, of how their epochs are chosen."""
    warnings: list[str] = []
    differing = {
        (replace(run.source, texts=None), run.experiment.training, run.experiment.evaluation): run
        for run in planned
        if run.experiment.model.name not in BASELINES
    }
    for (source, _, _), run in differing.items():
        with suppress(*_EXPECTED):  # data that cannot be read are an error of the runs themselves
            warnings += selection.choice_warnings(run.experiment, source.load())
    return warnings


def run_job(job: Job) -> FinishedRun | Failure:
    """Train a run and measure it; what was trained or measured before is read.

    The planned run of the result has the name of its data instead of the data; the caller has these.
    """
    planned, path = job.planned, job.runs / job.planned.folder
    try:
        dataset = planned.source.load()
        result = train_or_wait(path, planned.experiment.replace(split=planned.source.split), dataset)
        measured = {measure.NAME: _measured(measure, path, planned) for measure in planned.measures}
        records = tuple(read_lines(path / RECORDS)) if (path / RECORDS).exists() else ()
        # Data in memory need not travel back: whoever sent the job has them.
        named = replace(planned, source=Source(planned.source.label))
        return FinishedRun(named, dataset.name, dataset.fingerprint, result, records, measured)
    except Exception as error:  # a user's class may raise anything, and the other runs go on
        return Failure(planned.name, raised(error) if place_of(error) else message(error))


def train_or_wait(
    path: Path, experiment: Experiment, dataset: Dataset, callbacks: Sequence[Callback] = ()
) -> Mapping[str, Any]:
    """Return the result of a run, trained here or by the process that trains it at the moment.

    Raises:
        ValueError: the folder holds a run of something else.
        OSError: the folder cannot be written to.
    """
    waited = begun_elsewhere = False
    while True:
        try:
            return run_or_resume(path, experiment, dataset, callbacks)
        except InUseError:
            if not waited:
                logger.warning("waiting for another process that trains in %s", path)
            waited = True
            time.sleep(PAUSE)
        except FileExistsError:  # another process began and ended the run in the meantime
            if begun_elsewhere or not has_run(path):
                raise
            begun_elsewhere = True


def _with_all_measures(planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return the runs; of those that share a folder, each with the measures of all of them."""
    wanted: dict[str, dict[Measure, None]] = {}
    for run in planned:
        wanted.setdefault(run.folder, {}).update(dict.fromkeys(run.measures))
    return [replace(run, measures=tuple(wanted[run.folder])) for run in planned]


def _measured(measure: Measure, path: Path, planned: PlannedRun) -> Mapping[str, Any]:
    """Return what is measured, now or earlier with the same settings."""
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


def _fingerprints(finished: Sequence[FinishedRun]) -> dict[str, str]:
    """Return fingerprints of the data sets as they were given, whatever a study splits or replaces in them."""
    return {run.dataset: Source(run.planned.source.data).load().fingerprint for run in finished}


def _finished_and_failed(
    ended: Sequence[tuple[PlannedRun, FinishedRun | Failure]],
) -> tuple[list[FinishedRun], tuple[Failure, ...]]:
    """Return finished runs, each under its own labels, and failures."""
    finished = [replace(run, planned=planned) for planned, run in ended if isinstance(run, FinishedRun)]
    failures = tuple(Failure(planned.name, run.error) for planned, run in ended if isinstance(run, Failure))
    if failures and not finished:
        raise ValueError(f"no run of the study could be finished; the first, {failures[0].run}: {failures[0].error}")
    return finished, failures


def write_analysis(out: Path, analysis: Analysis) -> None:
    """Write tables and figures into their folders."""
    for name in (TABLES, FIGURES):
        (out / name).mkdir(exist_ok=True)
    write_tables(out / TABLES, analysis.tables)
    for image, figure in analysis.figures:
        save(figure, out / FIGURES, image.name)


def _settings(study: Study, request: Request) -> dict[str, str]:
    listed = {
        "data": ", ".join(source.label for source in request.sources),
        "models": ", ".join(request.models),
        "strategies": ", ".join(request.strategies),
        "seeds": ", ".join(map(str, request.seeds)),
    }
    own = {f"study.{key}": str(value) for key, value in vars(study).items()}
    defaults = config.settings(Experiment())
    changed = {key: str(value) for key, value in config.settings(request.base).items() if defaults.get(key) != value}
    return {**{key: value for key, value in listed.items() if value}, **own, **changed}
