"""The page of the demo: a comparison and its recommendations as one self-contained HTML file, from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL
from flatrec.research.reporting.figures import Curve, Score, dot_chart, learning_curves
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.html import csv_uri, data_uri, image_uri, template_environment
from flatrec.research.reporting.study_result import Column, Table, Value
from flatrec.research.reporting.styles import style_of

PARTS = ("deviation", "gain", "p")  # of a measurement, besides the mean


@dataclass(frozen=True)
class DataFacts:
    """Size of a data set: the number of all its interactions, and of those of each split."""

    name: str
    n_users: int
    n_items: int
    n_interactions: int
    splits: Mapping[str, int]

    @property
    def density(self) -> float:
        """Fraction of all possible interactions that the data have."""
        return self.n_interactions / max(self.n_users * self.n_items, 1)


@dataclass(frozen=True)
class Measurement:
    """One metric of one strategy over seeds.

    Args:
        mean: mean over seeds.
        deviation: sample standard deviation over seeds.
        gain: relative gain of the mean over the baseline's; None for the baseline and where its mean is 0.
        p: p of the paired t-test against the baseline, after Holm's correction; None where there is no test.
    """

    mean: float
    deviation: float
    gain: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class ReportItem:
    """An item as a reader sees it.

    Args:
        title: title of the item, or its id where it has no title.
        image: bytes of a PNG or JPEG file.
        score: score of the item where it was ranked for a user.
        rank: rank of the item, from 1.
        held_out: split in which the user did buy the item, unseen in training.
    """

    title: str
    image: bytes | None = None
    score: float | None = None
    rank: int | None = None
    held_out: Literal["test", "valid"] | None = None


@dataclass(frozen=True)
class ReportUser:
    """One user: purchases in training, purchases held out for the test, and recommendations, best first.

    Args:
        n_unshown: number of purchases in training that ``bought`` leaves out.
    """

    user: str
    bought: tuple[ReportItem, ...]
    held_out: tuple[ReportItem, ...]
    recommended: tuple[ReportItem, ...]
    n_unshown: int = 0

    @property
    def n_hits(self) -> int:
        """Number of recommendations that are in the test split."""
        return sum(item.held_out == "test" for item in self.recommended)


@dataclass(frozen=True)
class DemoReport:
    """Everything that the page shows.

    Args:
        title: title of the page.
        data: size of the data set.
        model: model that all strategies train.
        n_seeds: number of runs of each strategy.
        strategies: measurements by strategy and metric (``recall@10``); the first strategy is the baseline.
        headline: metric of the summary and of the chart; every strategy and baseline has it.
        curves: values of the metric ``monitor`` on the validation split, over epochs.
        monitor: metric that chose the epochs.
        losses: training loss over epochs.
        baselines: metrics by name of the baseline.
        users: a few users.
        source: run that recommends to them, in words.
        choice: sentence on how the users were chosen.
        settings: settings that the page was made with, by name.
    """

    title: str
    data: DataFacts
    model: str
    n_seeds: int
    strategies: Mapping[str, Mapping[str, Measurement]]
    headline: str
    curves: tuple[Curve, ...] = ()
    monitor: str = "recall@20"
    losses: tuple[Curve, ...] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    users: tuple[ReportUser, ...] = ()
    source: str = ""
    choice: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The strategy that the others are compared with."""
        return next(iter(self.strategies))

    @property
    def metrics(self) -> list[str]:
        """Metrics of the comparison."""
        return list(self.strategies[self.baseline])


def render(report: DemoReport) -> str:
    """Return the page: styles and images inside, no script, nothing loaded from anywhere."""
    environment = template_environment()
    environment.filters |= {
        "csv": csv_uri,
        "metric": metric_name,
        "percent": percent,
        "p_value": p_value,
        "image": image_uri,
        "figure": lambda svg: data_uri(svg.encode(), "image/svg+xml"),
        "color": lambda name: style_of(name).color,
    }
    template = environment.get_template("report.html.j2")
    return template.render(
        report=report,
        level=SIGNIFICANCE_LEVEL,
        summary=summary(report),
        context=context(report),
        scores=scores_table(report),
        baselines=baselines_table(report),
        chart=dot_chart(_scores(report), f"test {metric_name(report.headline)}"),
        curves=learning_curves(report.curves, f"validation {metric_name(report.monitor)}"),
        losses=learning_curves(report.losses, "training loss"),
    )


def scores_table(report: DemoReport) -> Table:
    """Return the comparison as numbers: a row per strategy; mean, deviation, gain and p of each metric."""
    names = [name for metric in report.metrics for name in (metric, *(f"{metric} {part}" for part in PARTS))]
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (name, *(value for metric in report.metrics for value in _values(cells[metric])), report.n_seeds)
        for name, cells in report.strategies.items()
    )
    columns = (Column("strategy"), *(Column(name, "number") for name in names), Column("seeds", "number", 0))
    return Table("comparison", "Training strategies compared", columns, rows)


def _values(cell: Measurement) -> tuple[Value, ...]:
    return (cell.mean, cell.deviation, cell.gain, cell.p)


def baselines_table(report: DemoReport) -> Table:
    """Return the scores of the baselines, a row per metric."""
    columns = (Column("metric"), *(Column(name, "number") for name in report.baselines))
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (metric, *(scores[metric] for scores in report.baselines.values()))
        for metric in (report.metrics if report.baselines else ())
    )
    return Table("baselines", "Baselines", columns, rows)


def summary(report: DemoReport) -> str:
    """Say what the comparison shows in its headline metric."""
    metric, baseline = metric_name(report.headline), report.baseline
    others = {name: cells[report.headline] for name, cells in report.strategies.items() if name != baseline}
    if not others:
        return f"Only {baseline} was trained, so there is nothing to compare."
    gains = ", ".join(f"{name} {percent(cell.gain)}" for name, cell in others.items())
    if report.n_seeds < 2:
        return f"Against {baseline}, in {metric}: {gains}. With one seed, a difference cannot be told from chance."
    significant = {name: cell for name, cell in others.items() if cell.p is not None and cell.p < SIGNIFICANCE_LEVEL}
    if not significant:
        few = "; with so few seeds, hardly any could be" if report.n_seeds < MIN_SEEDS else ""
        return f"No difference from {baseline} in {metric} is significant over {report.n_seeds} seeds ({gains}){few}."
    verdicts = "; ".join(_verdict(name, baseline, metric, cell) for name, cell in significant.items())
    rest = [name for name in others if name not in significant]
    not_significant = (
        f" Not significant: {', '.join(f'{name} ({percent(others[name].gain)})' for name in rest)}." if rest else ""
    )
    few = f" {report.n_seeds} seeds are few: repeat it with {MIN_SEEDS} or more." if report.n_seeds < MIN_SEEDS else ""
    return f"{verdicts}; with {report.n_seeds} seeds and Holm's correction.{not_significant}{few}"


def context(report: DemoReport) -> str:
    """Compare the first strategy with the best baseline; empty where there is no baseline."""
    scores = {name: metrics[report.headline] for name, metrics in report.baselines.items()}
    if not scores:
        return ""
    best = max(scores, key=lambda name: scores[name])
    trained = report.strategies[report.baseline][report.headline].mean
    relation = "above" if trained > scores[best] else "not above"
    return (
        f"For scale: {report.model} with {report.baseline} reaches {trained:.3f}, {relation} "
        f"the best baseline, {best}, with {scores[best]:.3f}."
    )


def _verdict(name: str, baseline: str, metric: str, cell: Measurement) -> str:
    amount = "" if cell.gain is None else f" by {percent(abs(cell.gain)).lstrip('+')}"
    won = cell.gain is None or cell.gain > 0
    p = p_value(cell.p) if cell.p is not None else ""
    return f"{name} {'beats' if won else 'falls behind'} {baseline}{amount} in {metric} ({p})"


def _scores(report: DemoReport) -> list[Score]:
    """Return the headline metric of all recommenders; a deviation only where there is more than one seed."""
    trained = [
        Score(name, cells[report.headline].mean, cells[report.headline].deviation if report.n_seeds > 1 else None)
        for name, cells in report.strategies.items()
    ]
    return trained + [Score(name, metrics[report.headline]) for name, metrics in report.baselines.items()]
