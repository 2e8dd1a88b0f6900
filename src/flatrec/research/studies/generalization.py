"""RQ4: do the strategies gain on other splits of the data, and do their scores spread less?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from flatrec.config import SplitSettings
from flatrec.evaluation.significance import SIGNIFICANCE_LEVEL, holm, levene, spread
from flatrec.research.reporting.best import best_of
from flatrec.research.reporting.formats import metric_name, p_value
from flatrec.research.reporting.plots import ViolinPanel, violins
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Column, Image, Table, Value, against_first
from flatrec.research.studies.base import (
    Analysis,
    FinishedRun,
    PlannedRun,
    Request,
    Study,
    StudyRuns,
    grid,
    group_by_strategy,
)
from flatrec.research.studies.comparisons import compare_groups, findings_of, long_table, wide_table

PLACE = ("data", "model")


class GeneralizationStudy(Study):
    """Each run has a random split 8:1:1 of every user's interactions, drawn with the seed of the run.

    Args:
        metric: metric whose spread is tested and drawn.
    """

    NAME = "generalization"
    TITLE = "Generalization over splits"
    QUESTION = "Do the strategies gain on other splits, and do their scores spread less (RQ4)?"
    STRATEGIES = ("plain", "bsam", "bsam+")
    SEEDS: ClassVar[tuple[int, ...]] = tuple(range(996, 1006))
    MIN_SEEDS = 1

    def __init__(self, *, metric: str = "recall@10") -> None:
        self.metric = metric

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid, each seed on a split of its own."""
        return [
            replace(run, source=replace(run.source, split=SplitSettings(method="random", seed=run.experiment.seed)))
            for run in grid(request)
        ]

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare means and spreads over splits, and draw violins."""
        rows = compare_groups(runs.finished, PLACE)
        table, sentences, column = self._spreads(runs.finished)
        tables = (
            wide_table(rows, PLACE, name="generalization", title=self.TITLE),
            table,
            long_table(rows, PLACE, name="generalization-details", title=f"{self.TITLE}, in full"),
        )
        image = Image(
            "generalization",
            f"{metric_name(self.metric)} over splits",
            "One dot per split; the shape is a smoothed histogram, the bar is the mean.",
        )
        panels = [ViolinPanel(" · ".join(place), values) for place, values in self._scores(runs.finished).items()]
        figure = violins(panels, y_label=f"test {metric_name(self.metric)}")
        return Analysis(tables, ((image, figure),), (*findings_of(rows, self.metric), *sentences), (column,))

    def _scores(self, finished: Sequence[FinishedRun]) -> dict[tuple[str, str], dict[str, list[float]]]:
        return {
            place: {name: [run.result["test"][self.metric] for run in runs] for name, runs in strategies.items()}
            for place, strategies in group_by_strategy(finished).items()
        }

    def _spreads(self, finished: Sequence[FinishedRun]) -> tuple[Table, list[str], CardColumn]:
        rows: list[tuple[Value, ...]] = []
        for place, strategies in self._scores(finished).items():
            first, *_ = strategies
            for strategy, values in strategies.items():
                p = None if strategy == first else levene(values, strategies[first])
                rows.append((*place, strategy, len(values), *spread(values), min(values), max(values), p))
        corrected = holm([row[-1] for row in rows])  # type: ignore[misc]
        columns = (
            *(Column(name) for name in (*PLACE, "strategy")),
            Column("splits", "number", 0),
            Column("mean", "number", best=best_of(self.metric)),
            Column("deviation", "number", best="lowest"),
            *(Column(name, "number") for name in ("lowest", "highest")),
            Column("p of the spread", "p"),
        )
        note = "The p of Levene's test, about medians, is against the first strategy and corrected by Holm."
        cells = tuple((*row[:-1], p) for row, p in zip(rows, corrected, strict=True))
        title = f"Spread of {metric_name(self.metric)}"
        clear = [
            f"The spread of {row[2]} ({row[0]}, {row[1]}) differs from the first strategy's ({p_value(p)})."
            for row, p in zip(rows, corrected, strict=True)
            if p is not None and p < SIGNIFICANCE_LEVEL
        ]
        tested = any(p is not None for p in corrected)
        sentences = clear or (["No spread differs significantly from the first strategy's."] if tested else [])
        entries = (
            CardEntry(str(row[0]), str(row[1]), str(row[2]), float(row[5] or 0), p=p, runs=int(row[3] or 0))
            for row, p in zip(rows, corrected, strict=True)
        )
        column = CardColumn("spread", "Deviation over splits", against_first(entries), "in spread over splits")
        return Table("generalization-spread", title, columns, cells, note, compares="strategy"), sentences, column
