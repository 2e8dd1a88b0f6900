"""Run a season: trials, then finalists on fresh seeds, cell by cell; what is recorded is not done again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flatrec.api import check_undivided, log_data_warnings
from flatrec.config import Experiment, Option
from flatrec.evaluation.metrics import higher_is_better
from flatrec.models import BASELINES
from flatrec.research.execution import JobCallback, Lost, NoCallback, Workers, execute
from flatrec.research.league.job import Failed, Job, remove_run, run_job
from flatrec.research.league.proposals import common_points, next_point, random_points
from flatrec.research.league.records import Kind, Record, RecordFiles, Wanted, decisive_settings
from flatrec.research.league.settings import check_league, experiment_of, model_name, space_of, stated
from flatrec.research.league.spec import Cell, League, Method, n_points
from flatrec.research.studies.base import Source
from flatrec.runs import selection
from flatrec.utils import seeding
from flatrec.utils.locks import lock_folder

RUNS = "runs"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """What a league has recorded so far, in the order of its cells and methods.

    Args:
        trials: trials that are recorded.
        finals: finals that are recorded.
        failures: names and errors of the runs that failed in this call, and are tried again by the next one.
    """

    trials: tuple[Record, ...]
    finals: tuple[Record, ...]
    failures: tuple[tuple[str, str], ...] = ()


def run_league(
    league: League,
    out: Path,
    *,
    workers: Workers | None = None,
    keep_runs: bool = False,
    cells: Sequence[str] = (),
    callback: JobCallback | None = None,
) -> Finished:
    """Make the trials and finals that are missing, and record each as it ends.

    Finished work is looked up in ``trials.jsonl`` and ``finals.jsonl`` by settings, seed and fingerprint of the data;
    no run folder is needed for it. A run that was interrupted goes on from its checkpoint. The finals of a method begin
    when all its trials in the cell are recorded, so that the test split is looked at once.

    Args:
        league: the league.
        out: folder for the records and, while they train, for run folders.
        workers: processes or cluster that make the runs; by default they are made one after the other.
        keep_runs: whether run folders are kept after their runs are recorded; a call without it removes them.
        cells: names of the cells to run; empty for all.
        callback: what is told of the runs as they begin and end.

    Raises:
        ValueError: the league breaks a rule, or data do not fit it, or a record is damaged.
        FileNotFoundError: data are not there.
        InUseError: another process runs a league in ``out``.
    """
    season = Season(league, cells)
    (out / RUNS).mkdir(parents=True, exist_ok=True)
    with lock_folder(out, "runs a league"):
        files = RecordFiles(out)
        files.repair()
        options = _Options(workers or Workers(), callback or NoCallback(), keep_runs)
        failures = _Runner(season, files, out / RUNS, options).run()
        finished = replace(season.finished(files), failures=tuple(failures))
        if not cells and (count := files.unused()):
            logger.warning("%d records in %s are of other settings or data, and are not used", count, out)
        for name in () if keep_runs else season.recorded:  # a process that was killed may not have removed its last run
            shutil.rmtree(out / RUNS / name, ignore_errors=True)
        if not any((out / RUNS).iterdir()):
            (out / RUNS).rmdir()
    return finished


def read_season(league: League, out: Path) -> Finished:
    """Return what a league has recorded so far, for which neither data nor run folders are needed.

    Raises:
        ValueError: the league breaks a rule, or a record is damaged, or records of a cell are of different data.
    """
    check_league(league)
    return Season(league, with_data=False).finished(RecordFiles(out))


class Season:
    """The runs of a league: which there are, and which of them are recorded.

    Args:
        league: the league.
        cells: names of its cells; empty for all.
        with_data: whether data are read, so that records must be of these data.

    Raises:
        ValueError: a name, a setting or data do not fit.
    """

    def __init__(self, league: League, cells: Sequence[str] = (), *, with_data: bool = True) -> None:
        names = [cell.name for cell in league.cells]
        if unknown := next((name for name in cells if name not in names), None):
            raise ValueError(f"cells must be some of {', '.join(names)}, but one is {unknown!r}")
        check_league(league)
        self.league = league
        self.cells = [cell for cell in league.cells if not cells or cell.name in cells]
        self.with_data = with_data
        self.recorded: set[str] = set()  # names of the run folders of which a record was found
        self._fingerprints: dict[Source, str] = {}
        for cell in self.cells if with_data else ():
            self._check_data(cell)

    def trials(self, cell: Cell, method: Method, files: RecordFiles) -> tuple[list[Record], list[Job]]:
        """Return the trials of a method in a cell that are recorded, and jobs for those that can begin."""
        rules = self.league.rules
        space, n_trials = space_of(self.league, cell, method), self.n_trials(cell, method)
        seed = seeding.derive_seed(rules.trial_seed, f"league {cell.name} {method.name}") % 2**32
        if rules.sampler != "tpe":
            of_cell = seeding.derive_seed(rules.trial_seed, f"league {cell.name}")
            common = rules.sampler == "common"
            points = common_points(space, n_trials, of_cell) if common else random_points(space, n_trials, seed)
            return self._looked_up(
                files, [self._job("trial", cell, method, i, point=points[i]) for i in range(n_trials)]
            )
        recorded: list[Record] = []
        for number in range(n_trials):
            scores = [record.score for record in recorded]
            better = all(higher_is_better(record.monitor) for record in recorded)
            point = next_point(space, scores, seed, n_trials, higher_is_better=better)
            found, missing = self._looked_up(files, [self._job("trial", cell, method, number, point=point)])
            if missing:
                return recorded, missing
            recorded += found
        return recorded, []

    def n_trials(self, cell: Cell, method: Method) -> int:
        """Return the number of trials of a method in a cell: no more than its space has points."""
        return int(min(self.league.rules.n_trials, n_points(space_of(self.league, cell, method))))

    def finals(
        self, cell: Cell, method: Method, trials: Sequence[Record], files: RecordFiles
    ) -> tuple[list[Record], list[Job]]:
        """Return the finals of a method in a cell that are recorded, and jobs for the others."""
        winner = best_trial(trials)
        if winner is None:
            return [], []
        point = {name: tuple(value) if isinstance(value, list) else value for name, value in winner.point.items()}
        n_seeds = len(self.league.rules.final_seeds)
        return self._looked_up(files, [self._job("final", cell, method, i, point=point) for i in range(n_seeds)])

    def finished(self, files: RecordFiles) -> Finished:
        """Return all that is recorded.

        Raises:
            ValueError: records of a cell are of different data.
        """
        trials: list[Record] = []
        finals: list[Record] = []
        for cell in self.cells:
            for method in self.league.methods:
                of_method, missing = self.trials(cell, method, files)
                trials += of_method
                if not missing:
                    finals += self.finals(cell, method, of_method, files)[0]
        if not self.with_data:
            self._check_same_data(trials)
        return Finished(tuple(trials), tuple(finals))

    def _job(self, kind: Kind, cell: Cell, method: Method, number: int, *, point: Mapping[str, Option]) -> Job:
        rules = self.league.rules
        seed = rules.trial_seed if kind == "trial" else rules.final_seeds[number]
        experiment = experiment_of(self.league, cell, method, point, seed=seed)
        disturbances: Mapping[str, tuple[float, ...]] = {}
        if kind == "final":
            disturbances = rules.disturbances
            if rules.replication == "splits":
                experiment = _split_by_seed(experiment)
        return Job(kind, cell.name, method.name, number, point, experiment, Path(RUNS), disturbances, rules.draws)

    def _looked_up(self, files: RecordFiles, jobs: Sequence[Job]) -> tuple[list[Record], list[Job]]:
        """Return the records of jobs, under their names here, and the jobs that have none."""
        records: list[Record] = []
        missing: list[Job] = []
        for job in jobs:
            record = files.find(self._wanted(job))
            if record is None:
                missing.append(job)
            else:
                self.recorded.add(job.folder.name)
                records.append(replace(record, cell=job.cell, method=job.method, number=job.number))
        return records, missing

    def _wanted(self, job: Job) -> Wanted:
        cell = next(cell for cell in self.cells if cell.name == job.cell)
        names = frozenset({*stated(self.league, cell, self.league.method(job.method)), *job.point})
        cells = frozenset(one.name for one in self.cells if one.data == cell.data)
        fingerprint = self._fingerprint(job.source) if self.with_data else None
        return Wanted(job.kind, decisive_settings(job.experiment), names, cells, fingerprint)

    def _fingerprint(self, source: Source) -> str:
        if source not in self._fingerprints:
            self._fingerprints[source] = source.load().fingerprint
        return self._fingerprints[source]

    def _check_data(self, cell: Cell) -> None:
        """Make sure that a cell's data can be trained on and scored, and say what should be known of them."""
        experiment = experiment_of(self.league, cell, self.league.methods[0], {}, seed=self.league.rules.trial_seed)
        dataset = Source(experiment.data, experiment.split).load()
        check_undivided(dataset)
        if not dataset.interactions.count("valid") or not dataset.interactions.count("test"):
            raise ValueError(
                f"{cell.name}: a league needs validation and test interactions, but {dataset.name!r} lacks some; split "
                "the data again"
            )
        selection.check(experiment, dataset)
        if self.league.rules.replication == "splits" and dataset.split_report.settings.method == "given":
            logger.warning(
                "%s: trials are scored on the split that the data give, finals on random ones; if the given one is not "
                'random, set split.method = "random" in the settings of the cell',
                cell.name,
            )
        log_data_warnings(dataset)
        if model_name(self.league, cell, self.league.methods[0]) not in BASELINES:
            selection.log_warnings(selection.choice_warnings(experiment, dataset))

    def _check_same_data(self, trials: Sequence[Record]) -> None:
        for cell in self.cells:
            fingerprints = {record.fingerprint for record in trials if record.cell == cell.name}
            if len(fingerprints) > 1:
                raise ValueError(
                    f"{cell.name}: its trials are of {len(fingerprints)} different data sets; run the league with the "
                    "data at hand, which tells them apart"
                )


def best_trial(trials: Sequence[Record]) -> Record | None:
    """Return the trial with the best validation score, the first of equal ones; None if all diverged."""
    scored = [record for record in trials if record.score is not None]
    if not scored:
        return None
    sign = 1 if higher_is_better(scored[0].monitor) else -1
    return max(scored, key=lambda record: (sign * (record.score or 0.0), -record.number))


@dataclass(frozen=True)
class _Options:
    workers: Workers
    callback: JobCallback
    keep_runs: bool


class _Runner:
    """Makes the missing runs of a season, cell by cell."""

    def __init__(self, season: Season, files: RecordFiles, runs: Path, options: _Options) -> None:
        self.season, self.files, self.runs, self.options = season, files, runs, options
        self.failures: dict[str, str] = {}
        self.left_of: dict[str, int] = {}  # by cell, the largest number of runs that are still to be made

    def run(self) -> list[tuple[str, str]]:
        """Make all runs; return names and errors of those that failed."""
        for cell in self.season.cells:
            self._pending(cell)  # for the number of runs
        n_recorded = len(self.season.recorded)
        for cell in self.season.cells:
            while jobs := self._pending(cell):
                self.options.callback.on_plan(sum(self.left_of.values()), n_recorded)
                self._make(jobs)
        return list(self.failures.items())

    def _pending(self, cell: Cell) -> list[Job]:
        """Return jobs that can begin: trials, and then, when no trial is left that can, finals."""
        trials: list[Job] = []
        finals: list[Job] = []
        n_left = 0
        for method in self.season.league.methods:
            recorded, missing = self.season.trials(cell, method, self.files)
            trials += missing
            finals_of_method = [] if missing else self.season.finals(cell, method, recorded, self.files)[1]
            finals += finals_of_method
            if not missing:
                n_left += len(self._not_failed(finals_of_method))
            elif self._not_failed(missing):
                n_left += self.season.n_trials(cell, method) - len(recorded) + len(self.season.league.rules.final_seeds)
        self.left_of[cell.name] = n_left
        return self._not_failed(trials) or self._not_failed(finals)

    def _not_failed(self, jobs: Sequence[Job]) -> list[Job]:
        here = [replace(job, runs=self.runs) for job in jobs if job.name not in self.failures]
        return list({job.folder: job for job in here}.values())  # equal settings are trained once

    def _make(self, jobs: Sequence[Job]) -> None:
        def begin(job: Job) -> None:
            self.options.callback.on_begin(job.name)

        def take(job: Job, done: Record | Failed | Lost) -> None:
            if isinstance(done, Record):
                self.files.add(done)
                if not self.options.keep_runs:
                    remove_run(job)
            else:
                self.failures[job.name] = done.error
            self.options.callback.on_done(job.name, done.error or None)

        execute(run_job, jobs, self.options.workers, take, on_begin=begin)


def _split_by_seed(experiment: Experiment) -> Experiment:
    """Return the experiment with the data split again at random by its seed."""
    split = experiment.split.replace(method=experiment.split.method or "random", seed=experiment.seed)
    return experiment.replace(split=split)
