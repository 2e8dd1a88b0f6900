"""The end of a sweep: the best trial, its settings on fresh seeds, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from flatrec.config import Experiment, Option
from flatrec.data.dataset import Dataset
from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.execution import JobCallback, Workers
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.study_result import (
    Column,
    Failure,
    Image,
    StudyResult,
    Table,
    Value,
    write_study_result,
)
from flatrec.research.studies.base import Analysis, FinishedRun, name_data_sets
from flatrec.research.studies.comparisons import compare_groups, findings_of, long_table
from flatrec.research.studies.runner import RUNS, RunWork, write_analysis
from flatrec.research.sweeps.space import Choices, Space, with_values
from flatrec.research.sweeps.trials import TIE_BREAKER, planned_run
from flatrec.utils.user_classes import short

CHOSEN, GIVEN = "chosen settings", "settings as given"  # compared here in the place of strategies
LABELS = ("data", "model", "trained with")


@dataclass(frozen=True)
class Search:
    """A search that is over.

    Args:
        experiment: all settings that were not tried, with defaults.
        data: data set in memory; None for that which the experiment names.
        space: settings that were tried.
        monitor: metric that scored the trials.
        trials: all trials of the store.
        errors: errors of the trials that failed in this call.
    """

    experiment: Experiment
    data: Dataset | None
    space: Space
    monitor: str
    trials: Sequence[FrozenTrial]
    errors: Sequence[str]

    @property
    def sign(self) -> int:
        """1 if higher values of the monitored metric are better, -1 if lower ones are."""
        return 1 if higher_is_better(self.monitor) else -1

    def rank(self, trial: FrozenTrial) -> tuple[float, float]:
        """Return what is highest for the best trial: its score, then NDCG to decide between equal scores."""
        assert trial.value is not None
        tie_breaker = trial.user_attrs.get(TIE_BREAKER)
        return self.sign * trial.value, float("-inf") if tie_breaker is None else tie_breaker


@dataclass(frozen=True)
class Making:
    """How runs are made.

    Args:
        workers: processes or cluster that make them.
        callback: what is told of them as they begin and end.
        n_reused: number of trials that an earlier call made, or another machine.
    """

    workers: Workers
    callback: JobCallback
    n_reused: int = 0


def confirm(
    search: Search, seeds: Sequence[int], out: Path, making: Making, *, settings: dict[str, str]
) -> StudyResult:
    """Train the winner and the settings as given on fresh seeds, and write what the sweep found.

    Raises:
        ValueError: no trial could be finished.
    """
    complete = [trial for trial in search.trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise ValueError(f"no trial could be finished{': ' + search.errors[0] if search.errors else ''}")
    # Of equal trials the one whose settings come first, whatever the order that kills and machines left them in.
    best = max(sorted(complete, key=_settings_text), key=search.rank)
    values = _values(search.space, best)
    finished, failures = _train(search, with_values(search.experiment, values), seeds, out / RUNS, making=making)
    rows = compare_groups(name_data_sets(finished), LABELS, baselines={CHOSEN: (GIVEN,)}) if finished else []
    details = long_table(rows, LABELS, name="confirmation", title="On fresh seeds, test split")
    image = Image("trials", f"Validation {metric_name(search.monitor)} by trial", "Each trial, and the best so far.")
    tables = (_table(search), *([details] if rows else []))
    chosen = ", ".join(f"{name} {value}" for name, value in values.items())
    sentence = (
        f"Chosen on validation, trial {best.number} of {len(search.trials)}: {chosen} "
        f"({search.monitor} {best.value:.4f})."
    )
    write_analysis(out, Analysis(tables, ((image, _figure(search)),)))
    result = StudyResult(
        "sweep",
        f"Sweep of {short(search.experiment.model.name)} with {short(search.experiment.strategy.name)}",
        "Which settings are best on validation, and what do they score on fresh seeds?",
        tables,
        (image,),
        (sentence, *findings_of(rows)),
        (*map(_failure, search.errors), *failures),
        settings,
        {run.dataset: run.fingerprint for run in finished},
    )
    write_study_result(out, result)
    return result


def _train(
    search: Search, chosen: Experiment, seeds: Sequence[int], runs: Path, *, making: Making
) -> tuple[list[FinishedRun], list[Failure]]:
    planned = [
        replace(
            run := planned_run(experiment.replace(seed=seed), search.data),
            labels={
                "data": run.source.label,
                "model": short(run.experiment.model.name),
                "trained with": short(run.experiment.strategy.name),
                "strategy": which,
                "seed": seed,
            },
        )
        for seed in seeds
        for which, experiment in ((GIVEN, search.experiment), (CHOSEN, chosen))
    ]
    work = RunWork(planned, runs, making.workers)
    making.callback.on_plan(work.n_left, making.n_reused + work.n_reused)
    ended = work.do(making.callback)
    finished = [replace(run, planned=planned) for planned, run in ended if isinstance(run, FinishedRun)]
    return finished, [replace(run, run=planned.name) for planned, run in ended if isinstance(run, Failure)]


def _settings_text(trial: FrozenTrial) -> str:
    return str(sorted(trial.params.items()))


def _values(space: Space, trial: FrozenTrial) -> dict[str, Option]:
    """Return what a trial tried, in the types of the settings."""
    values: dict[str, Option] = {}
    for name, dimension in space.items():
        stored = trial.params[name]
        by_text = {str(value): value for value in dimension.values} if isinstance(dimension, Choices) else {}
        values[name] = by_text.get(stored, stored)
    return values


def _table(search: Search) -> Table:
    columns = (
        Column("trial", "number", 0),
        Column("state"),
        Column(f"validation {search.monitor}", "number"),
        *(Column(name) for name in search.space),
    )
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (
            trial.number,
            trial.state.name.lower(),
            trial.value,
            *(str(trial.params.get(name, "")) for name in search.space),
        )
        for trial in sorted(
            search.trials, key=lambda trial: float("inf") if trial.value is None else -search.sign * trial.value
        )
    )
    return Table("trials", "Trials, best first", columns, rows, "Scored on validation; pruned trials ended early.")


def _figure(search: Search) -> Figure:
    ended = [(trial.number, trial.value) for trial in search.trials if trial.value is not None]
    numbers = tuple(float(number) for number, _ in ended)
    values = tuple(value for _, value in ended)
    drawn = (
        Line("each", numbers, values),
        Line("best so far", numbers, tuple(accumulate(values, max if search.sign > 0 else min))),
    )
    return lines([Panel("", drawn)], x_label="trial", y_label=f"validation {metric_name(search.monitor)}")


def _failure(error: str) -> Failure:
    trial, _, reason = error.partition(": ")
    return Failure(trial, reason or error)
