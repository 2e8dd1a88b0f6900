"""Train a row over seeds, and put its scores beside the reported ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatrec.api import check_undivided, load_to_train, run_or_resume
from flatrec.config.experiment import settings_tree
from flatrec.data.dataset import Dataset
from flatrec.evaluation.significance import MIN_SEEDS, spread
from flatrec.registry.instantiate import with_defaults
from flatrec.research.reporting.formats import markdown
from flatrec.research.reporting.reported import reported
from flatrec.research.reporting.study_result import Column, Table
from flatrec.research.reproduction.experiment import paper_experiment, paper_settings
from flatrec.research.reproduction.rows import Row
from flatrec.runs import selection
from flatrec.training import Callback
from flatrec.utils.atomic_write import write_text
from flatrec.utils.locks import lock_folder

RESULT, PAGE, RUNS = "reproduction.json", "reproduction.md", "runs"
METRICS = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """One metric on the test split, ours and the paper's.

    Args:
        mean: mean over our seeds.
        deviation: sample standard deviation over our seeds, 0 for one seed.
        values: one value per seed, in the order of the seeds.
        reported: value of the paper, as printed; None where it prints none.
        suspect: whether the reported value contradicts others of the paper.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]
    reported: float | None
    suspect: bool


@dataclass(frozen=True)
class Reproduction:
    """A row as we measure it, beside what the paper reports.

    Args:
        table: the table, such as ``table2``.
        row: the row.
        seeds: seeds of the runs.
        scores: scores by metric.
        warning: how the data differ from the paper's; empty where they do not.
        settings: every setting of the runs, but for the seed.
    """

    table: str
    row: Row
    seeds: tuple[int, ...]
    scores: Mapping[str, Score]
    warning: str
    settings: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``reproduction.json`` holds."""
        return {
            "table": self.table,
            "row": self.row.name,
            "seeds": list(self.seeds),
            "n": len(self.seeds),
            "warning": self.warning,
            "scores": {metric: asdict(score) for metric, score in self.scores.items()},
            "settings": dict(self.settings),
        }

    def as_table(self) -> Table:
        """Return a table with one row per metric."""
        columns = ("mean", "deviation", "n", "reported")
        few = "" if len(self.seeds) >= MIN_SEEDS else f" Fewer than {MIN_SEEDS} seeds are not a result."
        suspect = [metric for metric, score in self.scores.items() if score.suspect]
        doubt = f" The reported value contradicts others of the paper: {', '.join(suspect)}." if suspect else ""
        kinds = [Column(name, "number", 0 if name == "n" else 4) for name in columns]
        return Table(
            "reproduction",
            f"{self.table}, {self.row.name}, test split",
            (Column("metric"), *kinds),
            tuple(
                (metric, score.mean, score.deviation, len(self.seeds), score.reported)
                for metric, score in self.scores.items()
            ),
            f"Mean and sample deviation over seeds, beside the value that the paper prints.{doubt}{few}",
        )


def reproduce(
    table: str,
    row: Row,
    data: str,
    out: Path,
    *,
    seeds: Sequence[int],
    device: str = "auto",
    callbacks: Callable[[int], Sequence[Callback]] = lambda _seed: (),
) -> Reproduction:
    """Train a row at the paper's settings with every seed, and write ``reproduction.json`` and ``reproduction.md``.

    Finished seeds are read, and begun ones go on.

    Args:
        table: the table of the row.
        row: the row.
        data: path of the data.
        out: folder for the results, and for one run folder per seed.
        seeds: the seeds.
        device: where the models are trained.
        callbacks: returns the callbacks of the run of a seed.

    Raises:
        FileNotFoundError: there are no such data.
        ValueError: there is no seed or one twice, the data cannot be used, or ``out`` holds runs of something else.
        InUseError: another process reproduces in ``out``.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"a reproduction needs different seeds, at least one, but got {list(seeds)}")
    dataset = load_to_train(data)
    check_undivided(dataset)
    experiment = with_defaults(paper_experiment(row, data, given_split=dataset.split_report.given))
    experiment = experiment.replace(device=device)
    dataset = dataset.split_again(experiment.split)
    if not dataset.interactions.count("test"):
        raise ValueError(f"the test split of {dataset.name!r} has no interaction to score; split the data again")
    if warning := differing_counts(row, dataset):
        logger.warning("%s", warning)
    out.mkdir(parents=True, exist_ok=True)
    with lock_folder(out, "reproduces"):
        selection.log_warnings(selection.choice_warnings(experiment, dataset))
        runs = out / RUNS / row.name.replace("/", "-")
        results = [
            run_or_resume(runs / f"seed-{seed}", experiment.replace(seed=seed), dataset, callbacks(seed))
            for seed in seeds
        ]
        settings = {name: value for name, value in settings_tree(experiment).items() if name != "seed"}
        result = Reproduction(table, row, tuple(seeds), scores_of(row, results), warning, settings)
        write_text(out / RESULT, json.dumps(result.as_dict(), indent=2, allow_nan=False) + "\n")
        write_text(out / PAGE, page(result))
    return result


def scores_of(row: Row | None, results: Sequence[Mapping[str, Any]]) -> dict[str, Score]:
    """Return our scores by metric, each beside the reported one, neither adjusted to the other.

    Args:
        row: what the results are of; None for what the paper does not have.
        results: one per seed, as in ``result.json``.
    """
    scores = {}
    for metric in METRICS:
        values = tuple(float(result["test"][metric]) for result in results)
        cell = None
        if row is not None:
            cell = reported(row.dataset, row.model, row.strategy, metric, condition=row.condition)
        printed, suspect = (None, False) if cell is None else (cell.value, cell.suspect)
        scores[metric] = Score(*spread(values), values, printed, suspect)
    return scores


def differing_counts(row: Row, dataset: Dataset) -> str:
    """Return one line on how the data differ from Table I of the paper; empty where they do not."""
    expected = tuple(paper_settings()["counts"][row.dataset])
    counted = (dataset.n_users, dataset.n_items, len(dataset.interactions))
    if counted == expected:
        return ""
    shown = [", ".join(f"{count:,}" for count in counts) for counts in (expected, counted)]
    return (
        f"Table I of the paper counts {shown[0]} users, items and interactions of {row.dataset}, but {dataset.name!r} "
        f"has {shown[1]}; the scores cannot be compared as they stand"
    )


def page(result: Reproduction) -> str:
    """Return the page in Markdown."""
    warning = f"{result.warning}.\n\n" if result.warning else ""
    seeds = ", ".join(map(str, result.seeds))
    return f"# {result.table}: {result.row.name}\n\n{warning}{markdown(result.as_table())}\n\nSeeds: {seeds}.\n"
