"""A comparison and its recommendations as one self-contained HTML page, from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL
from flatrec.research.reporting.figures import Curve, Score, dot_chart, learning_curves
from flatrec.research.reporting.formats import metric_name, p_value, percent
from flatrec.research.reporting.html import data_uri, image_uri, template_environment
from flatrec.research.reporting.styles import style_of


@dataclass(frozen=True)
class DataFacts:
    """The size of a data set: all its pairs, and those of each part."""

    name: str
    users: int
    items: int
    pairs: int
    parts: Mapping[str, int]

    @property
    def density(self) -> float:
        """Share of all possible pairs that are there."""
        return self.pairs / max(self.users * self.items, 1)


@dataclass(frozen=True)
class Measurement:
    """One metric of one strategy over seeds.

    Args:
        mean: over seeds.
        deviation: sample standard deviation over seeds.
        gain: of the mean over the baseline's, relative; None for the baseline and where its mean is 0.
        p: of the paired t-test against the baseline, after Holm's correction; None where there is no test.
    """

    mean: float
    deviation: float
    gain: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Product:
    """An item as a reader sees it.

    Args:
        title: or the id, where it has no title.
        image: the bytes of a PNG or JPEG file.
        score: where it was ranked for a user.
        place: in that ranking, from 1.
        held_out: the part in which the user did buy it, unseen in training.
    """

    title: str
    image: bytes | None = None
    score: float | None = None
    place: int | None = None
    held_out: Literal["test", "valid"] | None = None


@dataclass(frozen=True)
class Shopper:
    """One user: what was learned from, what was held out for the test, and what is recommended, best first.

    Args:
        unshown: purchases learned from that ``bought`` leaves out.
    """

    user: str
    bought: tuple[Product, ...]
    held_out: tuple[Product, ...]
    recommended: tuple[Product, ...]
    unshown: int = 0

    @property
    def found(self) -> int:
        """How many recommendations are in the test part."""
        return sum(product.held_out == "test" for product in self.recommended)


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Args:
        title: of the page.
        data: the data set.
        model: that all strategies train.
        seeds: how many runs each strategy has.
        strategies: measurements by strategy and metric (``recall@10``); the first strategy is the baseline.
        headline: the metric of the summary and of the chart; every strategy and baseline has it.
        curves: a metric on the validation part, over epochs.
        monitor: which one.
        losses: the training loss over epochs.
        baselines: metrics by name.
        shoppers: a few users.
        source: which run recommends to them, in words.
        choice: by which rule they were chosen, a sentence.
        settings: how it was made, by name.
    """

    title: str
    data: DataFacts
    model: str
    seeds: int
    strategies: Mapping[str, Mapping[str, Measurement]]
    headline: str
    curves: tuple[Curve, ...] = ()
    monitor: str = "recall@20"
    losses: tuple[Curve, ...] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shoppers: tuple[Shopper, ...] = ()
    source: str = ""
    choice: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The strategy that the others are compared with."""
        return next(iter(self.strategies))

    @property
    def metrics(self) -> list[str]:
        """The metrics of the comparison."""
        return list(self.strategies[self.baseline])


def render(report: Report) -> str:
    """The page: styles and images inside, no script, nothing loaded from anywhere."""
    environment = template_environment()
    environment.filters |= {
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
        chart=dot_chart(_scores(report), f"test {metric_name(report.headline)}"),
        curves=learning_curves(report.curves, f"validation {metric_name(report.monitor)}"),
        losses=learning_curves(report.losses, "training loss"),
    )


def summary(report: Report) -> str:
    """What the comparison shows in its headline metric, and no more than that."""
    metric, baseline = metric_name(report.headline), report.baseline
    others = {name: cells[report.headline] for name, cells in report.strategies.items() if name != baseline}
    if not others:
        return f"Only {baseline} was trained, so there is nothing to compare."
    gains = ", ".join(f"{name} {percent(cell.gain)}" for name, cell in others.items())
    if report.seeds < 2:
        return f"Against {baseline}, in {metric}: {gains}. With one seed, no difference can be told from chance."
    clear = {name: cell for name, cell in others.items() if cell.p is not None and cell.p < SIGNIFICANCE_LEVEL}
    if not clear:
        few = f"; with {report.seeds} seeds, hardly any could be" if report.seeds < MIN_SEEDS else ""
        return f"No difference from {baseline} in {metric} is significant over {report.seeds} seeds ({gains}){few}."
    verdicts = "; ".join(_verdict(name, baseline, metric, cell) for name, cell in clear.items())
    rest = [name for name in others if name not in clear]
    unclear = (
        f" Not significant: {', '.join(f'{name} ({percent(others[name].gain)})' for name in rest)}." if rest else ""
    )
    few = f" {report.seeds} seeds are few: repeat it with {MIN_SEEDS} or more." if report.seeds < MIN_SEEDS else ""
    return f"{verdicts}; with {report.seeds} seeds and Holm's correction.{unclear}{few}"


def context(report: Report) -> str:
    """How the baseline compares with the best baseline; empty where there is none."""
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


def _scores(report: Report) -> list[Score]:
    """The headline metric of all recommenders; a deviation only where there is more than one seed."""
    trained = [
        Score(name, cells[report.headline].mean, cells[report.headline].deviation if report.seeds > 1 else None)
        for name, cells in report.strategies.items()
    ]
    return trained + [Score(name, metrics[report.headline]) for name, metrics in report.baselines.items()]
