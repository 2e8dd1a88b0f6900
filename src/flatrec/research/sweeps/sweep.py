"""The whole of a sweep: trials until there are enough, the winner on fresh seeds, and what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from flatrec.config import Experiment, Option
from flatrec.registry.instantiate import with_defaults
from flatrec.research.execution import Lost, Workers, execute
from flatrec.research.reporting import study_result
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.study_result import Column, Failure, Image, Outcome, Table, Value
from flatrec.research.studies import runner as studies
from flatrec.research.studies.base import Analysis, FinishedRun, named
from flatrec.research.studies.comparisons import compare_groups, findings_of, long_table
from flatrec.research.sweeps.identity import Identity
from flatrec.research.sweeps.shared_study import entered
from flatrec.research.sweeps.space import Choices, Space, changed, grid
from flatrec.research.sweeps.store import Place, opened, reaching, requeue, under_way
from flatrec.research.sweeps.trials import TIE_BREAKER, TrialJob, do, planned
from flatrec.runs import selection
from flatrec.utils.locks import held
from flatrec.utils.user_classes import short

STORE = "trials.sqlite3"
PAUSE = 2  # seconds between looks at what other machines do
CHOSEN, GIVEN = "chosen settings", "settings as given"  # what is compared here, in the place of strategies
WHERE = ("data", "model", "trained with")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What to search.

    Args:
        experiment: everything that is not tried; its seed is that of all trials.
        space: what is tried.
        sampler: ``grid`` for every combination, ``random``, or ``tpe``, which learns from the trials before.
        trials: how many; for a grid at most.
        seeds: fresh ones, on which the winner and the settings as given are trained again and tested.
        storage: URL of the store; a SQLite file in the output folder if empty.
        name: of the sweep in the store; several machines that give the same share their trials.

    Raises:
        ValueError: a number is out of range, or the seed of the trials is among the fresh ones.
    """

    experiment: Experiment
    space: Space
    sampler: str = "tpe"
    trials: int = 20
    seeds: tuple[int, ...] = ()
    storage: str = ""
    name: str = "sweep"

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, but is {self.trials}")
        if self.sampler not in ("grid", "random", "tpe"):
            raise ValueError(f"sampler must be grid, random or tpe, but is {self.sampler!r}")
        if self.experiment.seed in self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"fresh seeds must differ, and from the trials' {self.experiment.seed}, but are {self.seeds}"
            )


def sweep(
    one: Sweep,
    out: Path,
    *,
    workers: Workers | None = None,
    on_trial: Callable[[str | None, int], None] = lambda _error, _left: None,
) -> Outcome:
    """Search, confirm and write down.

    Trials are chosen and judged on the validation part alone; the test part is looked at once, for the winner and for
    the settings as given, on seeds that no trial used. Started again, a sweep goes on with its store, and where the
    space has grown since, with the trials made as trials of the new space. Where several
    machines share it, each waits for the trials of the others, so that all choose the same winner.

    Args:
        one: what to search.
        out: gets ``runs``, ``tables``, ``figures`` and ``study.json``.
        workers: who does the trials.
        on_trial: hears of each trial's error, if any, and of how many are left.

    Raises:
        ValueError: a setting is unknown, no trial came to an end, or the store has a sweep of this name with other
            data or settings, or with trials outside of the space.
        InUseError: another process carries out something in ``out``.
        ConnectionError: the store cannot be reached.
    """
    experiment = with_defaults(one.experiment)
    _check(one.space, experiment)
    dataset = planned(experiment).source.load()
    if not dataset.interactions.count("valid"):
        raise ValueError(
            f"a sweep judges by validation, but the validation part of {dataset.name!r} is empty; split again"
        )
    selection.check(experiment, dataset)
    monitor = selection.monitored(experiment, dataset).metric
    identity = Identity.of(experiment, dataset, one.space, monitor=monitor, sampler=one.sampler)

    def enter() -> Place:
        url = one.storage or f"sqlite:///{out / STORE}"
        return entered(url, one.name, identity, one.space, alone=not one.storage)

    if one.storage:
        enter()  # a refusal comes before any folder
    (out / studies.RUNS).mkdir(parents=True, exist_ok=True)
    with held(out, "carries out a study or sweep"):
        selection.warn(selection.remarks(experiment, dataset))
        ended = _Ended(one, monitor, *_searched(one, enter(), out, workers or Workers(), on_trial=on_trial))
        return _concluded(ended, out, workers or Workers())


def _searched(
    one: Sweep, place: Place, out: Path, workers: Workers, *, on_trial: Callable[[str | None, int], None]
) -> tuple[optuna.Study, list[str]]:
    """The study with all its trials, and what those made now failed by."""
    experiment = with_defaults(one.experiment)
    study = opened(place)
    shared = bool(one.storage)
    if not shared:
        requeue(study, lambda _trial: True)
    wanted = _enqueued(study, one) if one.sampler == "grid" else one.trials
    errors: list[str] = []

    def make(count: int) -> None:
        prefix = uuid4().hex if shared else ""  # other machines number their jobs likewise
        first = len(study.get_trials(deepcopy=False))
        marks = [f"{prefix} {first + number}" for number in range(count)]
        runs = out / studies.RUNS
        jobs = [TrialJob(mark, place, one.sampler, one.space, experiment, runs, wanted) for mark in marks]
        left = len(jobs)

        def take(_job: TrialJob, done: str | None | Lost) -> None:
            nonlocal left
            left -= 1
            error = done.error if isinstance(done, Lost) else done
            errors.extend([error] if error else [])
            on_trial(error, left)

        execute(do, jobs, workers, take)

    with reaching(place.url):
        lacking = wanted - _ended(study)
        while lacking > 0:
            make(lacking)
            lacking = min(wanted - _ended(study), _queued_after_all(study)) if shared else 0
    return opened(place), errors


def _queued_after_all(study: optuna.Study) -> int:
    """Wait for trials of other machines; how many are queued again, since their worker died."""
    if running := under_way(study):
        logger.warning("waiting for trials of others: %d", running)
    while under_way(study):
        time.sleep(PAUSE)
    return sum(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False))


def _check(space: Space, experiment: Experiment) -> None:
    """Every setting exists and takes its first value and its last."""
    for name, values in space.items():
        ends = (values.values[0], values.values[-1]) if isinstance(values, Choices) else (values.low, values.high)
        for value in ends:
            changed(experiment, {name: value})


def _enqueued(study: optuna.Study, one: Sweep) -> int:
    """Put the grid into the store; how many trials that makes."""
    proposals = grid(one.space)[: one.trials]
    trials = study.get_trials(deepcopy=False)
    there = [one.system_attrs.get("fixed_params", one.params) for one in trials if one.state != TrialState.FAIL]
    for values in proposals:
        stored = {name: str(value) for name, value in values.items()}
        if stored not in there:
            study.enqueue_trial(stored)
    return len(proposals)


def _ended(study: optuna.Study) -> int:
    return sum(one.state in (TrialState.COMPLETE, TrialState.PRUNED) for one in study.get_trials(deepcopy=False))


def _merit(trial: FrozenTrial) -> tuple[float, float]:
    """What the best trial has most of: its score, and NDCG among equal scores."""
    assert trial.value is not None
    tie_breaker = trial.user_attrs.get(TIE_BREAKER)
    return trial.value, float("-inf") if tie_breaker is None else tie_breaker


def _settings_of(trial: FrozenTrial) -> str:
    return str(sorted(trial.params.items()))


@dataclass(frozen=True)
class _Ended:
    """A search that is over."""

    sweep: Sweep
    monitor: str
    study: optuna.Study
    errors: Sequence[str]


def _concluded(ended: _Ended, out: Path, workers: Workers) -> Outcome:
    one, monitor, study, errors = ended.sweep, ended.monitor, ended.study, ended.errors
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise ValueError(f"no trial came to an end{': ' + errors[0] if errors else ''}")
    # Of equal trials the one whose settings come first, whatever the order that kills and machines left them in.
    best = max(sorted(complete, key=_settings_of), key=_merit)
    winner = changed(one.experiment, _values(one.space, best))
    finished, failures = _confirmed(one, winner, out, workers)
    rows = compare_groups(named(finished), WHERE, baselines={CHOSEN: (GIVEN,)}) if finished else []
    details = long_table(rows, WHERE, name="confirmation", title="On fresh seeds, test part")
    tables = (_table(one, monitor, trials), *([details] if rows else []))
    image = Image("trials", f"Validation {metric_name(monitor)} by trial", "Each trial, and the best so far.")
    studies.write(out, Analysis(tables, ((image, _history(trials, monitor)),)))
    chosen = ", ".join(f"{name} {value}" for name, value in _values(one.space, best).items())
    said = (f"Chosen on validation, trial {best.number} of {len(trials)}: {chosen} ({monitor} {best.value:.4f}).",)
    outcome = Outcome(
        "sweep",
        f"Sweep of {short(one.experiment.model.name)} with {short(one.experiment.strategy.name)}",
        "Which settings are best on validation, and what are they worth on fresh seeds?",
        tables,
        (image,),
        (*said, *findings_of(rows)),
        (*(Failure(*_parted(error)) for error in errors), *failures),
        {"sampler": one.sampler, "trials": str(one.trials)},
        {done.dataset: done.fingerprint for done in finished},
    )
    study_result.write_study_result(out, outcome)
    return outcome


def _confirmed(one: Sweep, winner: Experiment, out: Path, workers: Workers) -> tuple[list[FinishedRun], list[Failure]]:
    """The winner and the settings as given, on fresh seeds."""
    ended: list[FinishedRun | Failure] = []
    runs = [
        replace(
            plan := planned(replace(experiment, seed=seed)),
            labels={
                "data": experiment.data,
                "model": short(plan.experiment.model.name),
                "trained with": short(plan.experiment.strategy.name),
                "strategy": which,
                "seed": seed,
            },
        )
        for seed in one.seeds
        for which, experiment in ((GIVEN, with_defaults(one.experiment)), (CHOSEN, winner))
    ]
    jobs = [studies.Job(run, out / studies.RUNS) for run in runs]

    def take(job: studies.Job, done: FinishedRun | Failure | Lost) -> None:
        ended.append(Failure(job.planned.name, done.error) if isinstance(done, Lost) else done)

    execute(studies.do, jobs, workers, take)
    return [x for x in ended if isinstance(x, FinishedRun)], [x for x in ended if isinstance(x, Failure)]


def _values(space: Space, trial: FrozenTrial) -> dict[str, Option]:
    """What a trial tried, in the settings' own types."""
    values: dict[str, Option] = {}
    for name, one in space.items():
        stored = trial.params[name]
        own = {str(value): value for value in one.values} if isinstance(one, Choices) else {}
        values[name] = own.get(stored, stored)
    return values


def _table(one: Sweep, monitor: str, trials: Sequence[FrozenTrial]) -> Table:
    columns = (
        Column("trial", "number", 0),
        Column("state"),
        Column(f"validation {monitor}", "number"),
        *(Column(name) for name in one.space),
    )
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (trial.number, trial.state.name.lower(), trial.value, *(str(trial.params.get(name, "")) for name in one.space))
        for trial in sorted(trials, key=lambda trial: -(trial.value if trial.value is not None else -1e9))
    )
    return Table("trials", "Trials, best first", columns, rows, "Judged on validation; pruned trials ended early.")


def _history(trials: Sequence[FrozenTrial], monitor: str) -> Figure:
    ended = [(trial.number, trial.value) for trial in trials if trial.value is not None]
    numbers = tuple(float(number) for number, _ in ended)
    values = tuple(value for _, value in ended)
    best = tuple(max(values[: place + 1]) for place in range(len(values)))
    drawn = (Line("each", numbers, values), Line("best so far", numbers, best))
    return lines([Panel("", drawn)], x_label="trial", y_label=f"validation {metric_name(monitor)}")


def _parted(error: str) -> tuple[str, str]:
    name, _, text = error.partition(": ")
    return name, text or error
