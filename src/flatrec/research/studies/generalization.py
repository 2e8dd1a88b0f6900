"""RQ4: do the strategies hold up over other splits of the data, and do they spread less?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from flatrec.evaluation.significance import holm, levene, spread
from flatrec.research.reporting.outcome import Column, Image, Table, Value
from flatrec.research.reporting.plots import ViolinPanel, violins
from flatrec.research.reporting.report import LEVEL, metric_name, p_value
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Source, Study, by_strategy, grid
from flatrec.research.studies.comparisons import compared, in_words, long_table, wide_table

PLACE = ("data", "model")


class Generalization(Study):
    """Run i has seed i and split i of the same pairs: ten random splits 8:1:1 of every user's pairs.

    Args:
        metric: whose spread is tested and drawn.
    """

    TITLE = "Generalization over splits"
    QUESTION = "Do the strategies gain on other splits, and do their scores spread less (RQ4)?"
    STRATEGIES = ("plain", "bsam", "bsam+")
    SEEDS: ClassVar[tuple[int, ...]] = tuple(range(996, 1006))
    LEAST_SEEDS = 1

    def __init__(self, *, metric: str = "recall@10") -> None:
        self.metric = metric

    def plan(self, request: Request) -> list[Planned]:
        """The grid, each seed on a split of its own."""
        return [replace(one, source=Source(one.source.path, split=one.experiment.seed)) for one in grid(request)]

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Means, spreads, a test of each, and violins."""
        rows = compared(finished, PLACE)
        table, sentences = self._spreads(finished)
        tables = (
            wide_table(rows, PLACE, name="generalization", title=self.TITLE),
            table,
            long_table(rows, PLACE, name="generalization-details", title=f"{self.TITLE}, in full"),
        )
        image = Image(
            "generalization",
            f"{metric_name(self.metric)} over splits",
            "A dot a split; the shape is a smoothed histogram, the bar the mean.",
        )
        panels = [ViolinPanel(" · ".join(place), values) for place, values in self._scores(finished).items()]
        figure = violins(panels, y_label=f"test {metric_name(self.metric)}")
        return Conclusion(tables, ((image, figure),), (*in_words(rows, self.metric), *sentences))

    def _scores(self, finished: Sequence[Finished]) -> dict[tuple[str, str], dict[str, list[float]]]:
        return {
            place: {name: [one.result["test"][self.metric] for one in runs] for name, runs in strategies.items()}
            for place, strategies in by_strategy(finished).items()
        }

    def _spreads(self, finished: Sequence[Finished]) -> tuple[Table, list[str]]:
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
            *(Column(name, "number") for name in ("mean", "deviation", "lowest", "highest")),
            Column("p of the spread", "p"),
        )
        note = "p of Levene's test, about medians, against the first strategy, corrected by Holm."
        cells = tuple((*row[:-1], p) for row, p in zip(rows, corrected, strict=True))
        title = f"Spread of {metric_name(self.metric)}"
        clear = [
            f"The spread of {row[2]} ({row[0]}, {row[1]}) differs from the first strategy's ({p_value(p)})."
            for row, p in zip(rows, corrected, strict=True)
            if p is not None and p < LEVEL
        ]
        tested = any(p is not None for p in corrected)
        sentences = clear or (["No spread differs significantly from the first strategy's."] if tested else [])
        return Table("generalization-spread", title, columns, cells, note), sentences
