"""Rows of Table IV: scores under noise on features, by the noise study, beside the reported ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from flatrec.api import check_undivided, load_to_train
from flatrec.evaluation.significance import MIN_SEEDS
from flatrec.research.analysis.perturbation import relative_drop
from flatrec.research.execution import JobCallback
from flatrec.research.reporting.formats import markdown
from flatrec.research.reporting.reported import reported
from flatrec.research.reporting.study_result import Column, StudyResult, Table
from flatrec.research.reproduction.experiment import paper_experiment
from flatrec.research.reproduction.rows import NOISE, Row
from flatrec.research.reproduction.run import PAGE, RESULT, differing_counts
from flatrec.research.studies.base import Request
from flatrec.research.studies.noise import FEATURES, NoiseStudy
from flatrec.research.studies.runner import run_study
from flatrec.utils.atomic_write import write_text

METRIC, VARIANCES, DRAWS = "recall@10", (1e-6, 1e-5, 1e-4), 5  # section V-C

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoiseScore:
    """Recall@10 of a strategy on the test split, without noise and under noise of one variance.

    Args:
        strategy: name of the strategy.
        variance: variance of the noise on features.
        n: number of seeds.
        before: mean over seeds without noise.
        after: mean over seeds and draws under noise.
        drop: mean over seeds of (before - after) / before.
        deviation: sample standard deviation of the drop over seeds.
        p: p of the paired t-test of the drops against those of plain, corrected by Holm over all rows of the study;
            None for plain.
        reported_before: value of the paper without noise (Table II); None where it prints none.
        reported_after: value of the paper under noise; None where it prints none.
    """

    strategy: str
    variance: float
    n: int
    before: float
    after: float
    drop: float
    deviation: float
    p: float | None
    reported_before: float | None
    reported_after: float | None

    @property
    def reported_drop(self) -> float | None:
        """Relative drop of the values of the paper."""
        if self.reported_before is None or self.reported_after is None:
            return None
        return relative_drop(self.reported_before, self.reported_after)


@dataclass(frozen=True)
class NoiseReproduction:
    """A row of Table IV and the row of plain training beside it, as we measure them and as the paper reports them.

    Args:
        row: the row.
        seeds: seeds of the runs.
        scores: one per strategy and variance, plain first.
        warning: how the data differ from the paper's; empty where they do not.
        failures: names and errors of runs that failed, which the same command tries again.
    """

    row: Row
    seeds: tuple[int, ...]
    scores: tuple[NoiseScore, ...]
    warning: str
    failures: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what ``reproduction.json`` holds."""
        return {
            "table": NOISE,
            "row": self.row.name,
            "seeds": list(self.seeds),
            "metric": METRIC,
            "warning": self.warning,
            "scores": [{**asdict(score), "reported_drop": score.reported_drop} for score in self.scores],
            "failures": [{"run": run, "error": error} for run, error in self.failures],
        }

    def as_table(self) -> Table:
        """Return a table with one row per strategy and variance."""
        columns = (
            Column("strategy"),
            Column("variance"),
            Column("n", "number", 0),
            *(Column(name, "number") for name in ("before", "reported before", "after", "reported after")),
            *(Column(name, "percent") for name in ("drop", "deviation", "reported drop")),
            Column("p", "p"),
        )
        few = "" if len(self.seeds) >= MIN_SEEDS else f" Fewer than {MIN_SEEDS} seeds are not a result."
        note = (
            "Recall@10 before and after noise on features, beside the values that the paper prints; drop = (before - "
            "after) / before of each seed; p of the paired t-test of the drops against those of plain, corrected by "
            f"Holm over all rows of the study, noise on embeddings among them.{few}"
        )
        return Table(
            "reproduction", f"{NOISE}, {self.row.name}, test split", columns, tuple(map(_cells, self.scores)), note
        )


def reproduce_noise(
    row: Row,
    data: str,
    out: Path,
    *,
    seeds: tuple[int, ...],
    device: str = "auto",
    callback: JobCallback | None = None,
) -> NoiseReproduction:
    """Train a row and plain at the paper's settings, and score both under noise by the study ``noise``.

    The folder is that of the study, with its tables, figures and ``study.json``, besides ``reproduction.json`` and
    ``reproduction.md``. Finished runs are not trained again.

    Args:
        row: the row.
        data: path of the data.
        out: folder for the study.
        seeds: the seeds, at least two.
        device: where the models are trained.
        callback: as in :func:`flatrec.research.studies.runner.run_study`.

    Raises:
        FileNotFoundError: there are no such data.
        ValueError: there are fewer than two seeds, the data cannot be used, or no run could be finished.
        InUseError: another process runs a study in ``out``.
    """
    dataset = load_to_train(data)
    check_undivided(dataset)
    experiment = paper_experiment(row, data, given_split=dataset.split_report.given).replace(device=device)
    if warning := differing_counts(row, dataset):
        logger.warning("%s", warning)
    strategies = tuple(dict.fromkeys(("plain", row.strategy)))
    study = NoiseStudy(variances=VARIANCES, draws=DRAWS, metric=METRIC)
    found = run_study(study, out, Request((data,), (row.model,), strategies, seeds, experiment), callback=callback)
    failures = tuple((failure.run, failure.error) for failure in found.failures)
    result = NoiseReproduction(row, seeds, _scores(row, found), warning, failures)
    write_text(out / RESULT, json.dumps(result.as_dict(), indent=2, allow_nan=False) + "\n")
    write_text(out / PAGE, page(result))
    return result


def _scores(row: Row, found: StudyResult) -> tuple[NoiseScore, ...]:
    """Return the rows on features of the study's table."""
    (table,) = found.tables
    names = [column.name for column in table.columns]
    rows = (dict(zip(names, cells, strict=True)) for cells in table.rows)
    return tuple(_score(row, cells) for cells in rows if cells["kind"] == FEATURES)


def _score(row: Row, cells: Mapping[str, Any]) -> NoiseScore:
    strategy, level = cells["strategy"], cells["level"]
    printed = [
        reported(row.dataset, row.model, strategy, METRIC, condition=condition)
        for condition in ("", f"{FEATURES} {level}")
    ]
    before, after = (None if cell is None else cell.value for cell in printed)
    return NoiseScore(
        strategy,
        float(level),
        cells["runs"],
        cells[f"{METRIC} before"],
        cells[f"{METRIC} after"],
        cells["drop"],
        cells["deviation"],
        cast("float | None", cells["p"]),
        before,
        after,
    )


def _cells(score: NoiseScore) -> tuple[str | float | int | None, ...]:
    ours = (score.before, score.reported_before, score.after, score.reported_after)
    drops = (score.drop, score.deviation, score.reported_drop)
    return (score.strategy, f"{score.variance:g}", score.n, *ours, *drops, score.p)


def page(result: NoiseReproduction) -> str:
    """Return the page in Markdown."""
    warning = f"{result.warning}.\n\n" if result.warning else ""
    failures = "".join(f"\n- failed: {run}: {error}" for run, error in result.failures)
    seeds = ", ".join(map(str, result.seeds))
    return f"# {NOISE}: {result.row.name}\n\n{warning}{markdown(result.as_table())}\nSeeds: {seeds}.\n{failures}"
