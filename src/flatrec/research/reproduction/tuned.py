"""Run the league of a row, and put the scores of each tuned method beside the reported ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatrec.api import check_undivided, load_to_train
from flatrec.evaluation.significance import MIN_SEEDS
from flatrec.research.execution import JobCallback
from flatrec.research.league import League, Method, read_league, run_league
from flatrec.research.league.season import Finished
from flatrec.research.league.settings import space_of
from flatrec.research.league.spec import n_points
from flatrec.research.league.write import write_league
from flatrec.research.reporting.formats import markdown
from flatrec.research.reporting.study_result import Column, Table
from flatrec.research.reproduction.rows import Row
from flatrec.research.reproduction.run import METRICS, Score, differing_counts, scores_of
from flatrec.research.reproduction.tuned_league import SQUARED, check_tunable, tuned_league
from flatrec.utils.atomic_write import write_text

LEAGUE, RESULT, PAGE = "league.toml", "tuned.json", "tuned.md"
COMMENT = """Written by flatrec reproduce --tuned; edit it and run it by
flatrec league FILE --out FOLDER
Trials and finals that are recorded in the folder are not made again, as long as their settings do not change."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TunedMethod:
    """A method of the league.

    Args:
        name: name of the method.
        trials: number of trials on validation.
        points: number of different points of the space that they choose from.
        chosen: values of the best trial, which the fresh seeds were trained with; empty if there is none.
        scores: scores on the test split by metric; empty if no final is recorded.
    """

    name: str
    trials: int
    points: int
    chosen: Mapping[str, Any]
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class TunedReproduction:
    """A row with every method tuned equally, beside what the paper reports.

    Args:
        table: the table, such as ``table2``.
        row: the row.
        seeds: fresh seeds of the finals.
        methods: the methods, in the order of the league.
        warning: how the data differ from the paper's; empty where they do not.
        failures: names and errors of runs that failed, which the same command tries again.
    """

    table: str
    row: Row
    seeds: tuple[int, ...]
    methods: tuple[TunedMethod, ...]
    warning: str
    failures: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what ``tuned.json`` holds."""
        methods = [{**asdict(method), "chosen": dict(method.chosen)} for method in self.methods]
        failures = [{"run": run, "error": error} for run, error in self.failures]
        head = {"table": self.table, "row": self.row.name, "seeds": list(self.seeds), "warning": self.warning}
        return {**head, "methods": methods, "failures": failures}

    def as_tables(self) -> tuple[Table, Table]:
        """Return a table of what was tuned, and one of scores."""
        return self._tuning(), self._scores()

    def _tuning(self) -> Table:
        columns = (Column("method"), Column("trials", "number", 0), Column("points", "number", 0), Column("chosen"))
        note = "Points is the size of the space that the trials choose from; the best trial on validation is chosen."
        rows = tuple((one.name, one.trials, one.points, _text(one.chosen)) for one in self.methods)
        return Table("tuning", f"{self.table}, {self.row.name}, equal trials", columns, rows, note)

    def _scores(self) -> Table:
        columns = (
            Column("metric"),
            Column("method"),
            Column("trials", "number", 0),
            Column("mean", "number", best="highest"),
            Column("deviation", "number"),
            Column("n", "number", 0),
            Column("reported", "number"),
        )
        rows = tuple(
            (metric, one.name, one.trials, score.mean, score.deviation, len(score.values), score.reported)
            for metric in METRICS
            for one in self.methods
            if (score := one.scores.get(metric))
        )
        few = "" if len(self.seeds) >= MIN_SEEDS else f" Fewer than {MIN_SEEDS} seeds are not a result."
        note = (
            "Mean and sample deviation over fresh seeds, beside the value of the paper, which does not say how methods "
            f"other than BSAM and BSAM+ were tuned.{few}"
        )
        title = f"{self.table}, {self.row.name}, every method tuned equally, test split"
        return Table("tuned", title, columns, rows, note, compares="method")


def reproduce_tuned(
    table: str,
    row: Row,
    data: str,
    out: Path,
    *,
    n_trials: int = 8,
    n_seeds: int = 5,
    device: str = "auto",
    callback: JobCallback | None = None,
) -> TunedReproduction:
    """Write the league of a row as ``league.toml``, run it, and write ``tuned.json`` and ``tuned.md``.

    Recorded trials and finals are not made again.

    Args:
        table: the table of the row: table2, table6 or table8.
        row: the row.
        data: path of the data.
        out: folder for the league, its records and the results.
        n_trials: number of trials of every method.
        n_seeds: number of fresh seeds.
        device: where the models are trained.
        callback: as in :func:`flatrec.research.league.run_league`.

    Raises:
        FileNotFoundError: there are no such data.
        ValueError: the table cannot be tuned, a number is out of range, the data cannot be used, or ``out`` holds
            another league.
        InUseError: another process runs a league in ``out``.
    """
    check_tunable(table)
    dataset = load_to_train(data)
    check_undivided(dataset)
    given = dataset.split_report.given
    league = tuned_league(row, data, given_split=given, n_trials=n_trials, n_seeds=n_seeds, device=device)
    if warning := differing_counts(row, dataset):
        logger.warning("%s", warning)
    out.mkdir(parents=True, exist_ok=True)
    _write(league, out)
    finished = run_league(league, out, callback=callback)
    methods = tuple(_tuned_method(league, method, row, finished) for method in league.methods)
    result = TunedReproduction(table, row, league.rules.final_seeds, methods, warning, finished.failures)
    write_text(out / RESULT, json.dumps(result.as_dict(), indent=2, allow_nan=False) + "\n")
    write_text(out / PAGE, page(result))
    return result


def _write(league: League, out: Path) -> None:
    """Write the league, unless it is there already.

    Raises:
        ValueError: there is another one, such as one that the user has edited.
    """
    path = out / LEAGUE
    if not path.exists():
        write_league(league, path, comment=COMMENT)
    elif read_league(path) != league:
        raise ValueError(
            f"{path} is another league than that of this row and these options; run it by flatrec league {path} --out "
            f"{out}, or give another --out"
        )


def _tuned_method(league: League, method: Method, row: Row, finished: Finished) -> TunedMethod:
    finals = [record for record in finished.finals if record.method == method.name]
    strategy = row.strategy if method.name == row.strategy else "plain"
    of_method = Row(row.dataset, row.model, strategy, row.condition)
    results = [{"test": record.test} for record in finals]
    return TunedMethod(
        method.name,
        sum(record.method == method.name for record in finished.trials),
        int(n_points(space_of(league, league.cells[0], method))),
        dict(finals[0].point) if finals else {},
        scores_of(None if method.name == SQUARED else of_method, results) if finals else {},
    )


def _text(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def page(result: TunedReproduction) -> str:
    """Return the page in Markdown."""
    warning = f"{result.warning}.\n\n" if result.warning else ""
    failures = "".join(f"\n- failed: {run}: {error}" for run, error in result.failures)
    tables = "\n".join(map(markdown, result.as_tables()))
    seeds = ", ".join(map(str, result.seeds))
    return f"# {result.table}: {result.row.name}, tuned\n\n{warning}{tables}\nSeeds: {seeds}.\n{failures}"
