"""What studies that vary one thing have in common: tables of all comparisons, and the score over what is varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from flatrec.evaluation.significance import spread
from flatrec.research.reporting.outcome import Image
from flatrec.research.reporting.plots import BarPanel, bars
from flatrec.research.reporting.report import metric_name
from flatrec.research.studies.base import Conclusion, Finished, Label
from flatrec.research.studies.comparisons import Row, compared, in_words, long_table, wide_table

SHOWN = "recall@10"


def concluded(
    name: str,
    finished: Sequence[Finished],
    *,
    title: str,
    label: str = "",
    condition: Mapping[Label, str] | None = None,
    baselines: Mapping[str, Sequence[str]] | None = None,
) -> Conclusion:
    """Tables, a figure and sentences.

    Args:
        name: of the study, and of its files.
        finished: its runs.
        title: for readers.
        label: of what is varied besides models and strategies, if anything is.
        condition: what the paper calls its values.
        baselines: see :func:`flatrec.research.studies.comparisons.compared`.
    """
    labels = ("data", "model", *([label] if label else []))
    rows = compared(finished, labels, condition=condition, baselines=baselines)
    tables = (
        wide_table(rows, labels, name=name, title=title),
        long_table(rows, labels, name=f"{name}-details", title=f"{title}, in full"),
    )
    image = Image(name, f"{title}: test {metric_name(SHOWN)}", "Mean over seeds and one deviation to each side.")
    return Conclusion(tables, ((image, figure(rows)),), in_words(rows, SHOWN))


def figure(rows: Sequence[Row]) -> Figure:
    """A panel a data set and model; a series a strategy, over what is varied or else in a place of its own."""
    panels: dict[tuple[Label, ...], dict[str, dict[str, tuple[float, float]]]] = {}
    for row in rows:
        if row.metric == SHOWN:
            place, category = row.group[:2], row.group[2]  # which is the strategy where nothing is varied
            series = panels.setdefault(place, {}).setdefault(str(row.group[-1]), {})
            series[f"{category:g}" if isinstance(category, float) else str(category)] = spread(row.values)
    drawn = [BarPanel(" · ".join(map(str, place)), series) for place, series in panels.items()]
    return bars(drawn, y_label=f"test {metric_name(SHOWN)}")
