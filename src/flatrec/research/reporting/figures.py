"""Charts as SVG text, for embedding: legible on a phone, in light and dark, and for color-blind readers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flatrec.research.reporting.styles import INK, style_of
from flatrec.research.reporting.theme import themed

WIDTH = 4.4  # inches; shown at the width of a phone, 10 points stay 10 pixels or more
LONGEST = 28  # characters of a label


@dataclass(frozen=True)
class Curve:
    """One quantity of one strategy over epochs.

    Args:
        name: of the strategy.
        runs: value by epoch, one mapping a seed.
    """

    name: str
    runs: tuple[Mapping[int, float], ...]

    @property
    def epochs(self) -> list[int]:
        """The epochs that every seed reached, so that a mean never changes because a seed dropped out."""
        return sorted(set.intersection(*(set(run) for run in self.runs))) if self.runs else []


@dataclass(frozen=True)
class Score:
    """The test score of one recommender: mean and sample deviation over seeds, no deviation for a single run."""

    name: str
    mean: float
    deviation: float | None = None


def learning_curves(curves: Sequence[Curve], quantity: str) -> str:
    """One line a strategy, the mean over seeds, in a band from the lowest to the highest seed.

    Args:
        curves: those without a common epoch are left out.
        quantity: the label of the vertical axis.
    """
    figure, axes = _panel(height=3.1)
    drawn = [curve for curve in curves if curve.epochs]
    for number, curve in enumerate(drawn):
        look, epochs = style_of(curve.name), curve.epochs
        values = [[run[epoch] for run in curve.runs] for epoch in epochs]
        means, lowest, highest = map(fmean, values), map(min, values), map(max, values)
        axes.fill_between(epochs, list(lowest), list(highest), color=look.color, alpha=0.18, linewidth=0)
        (line,) = axes.plot(epochs, list(means), look.dash, color=look.color, label=_literal(curve.name))
        line.set_linewidth(max(1.4, 3 - 0.7 * number))  # so that a line shows even where the next one covers it
        line.set_marker(look.marker if len(epochs) == 1 else "")
    axes.set_xlabel("epoch")
    axes.set_ylabel(_literal(quantity))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(color=INK, alpha=0.2, linewidth=0.6)
    if drawn:
        axes.legend(frameon=False, fontsize=10, labelcolor=INK, handlelength=2.6)
    return _svg(figure)


def dot_chart(scores: Sequence[Score], quantity: str) -> str:
    """One row a recommender: a dot at the mean and a bar of one deviation to each side; the axis begins at 0.

    Args:
        scores: in the order of the rows, from the top.
        quantity: the label of the horizontal axis.
    """
    figure, axes = _panel(height=0.9 + 0.42 * len(scores))
    for row, score in enumerate(scores):
        look = style_of(score.name)
        axes.plot([0, score.mean], [row, row], color=look.color, alpha=0.35, linewidth=1.4)
        axes.errorbar(score.mean, row, xerr=score.deviation, fmt=look.marker, color=look.color, markersize=6, capsize=5)
        right = score.mean + (score.deviation or 0)
        axes.annotate(
            f"{score.mean:.3f}", (right, row), (8, 0), textcoords="offset points", va="center", fontsize=10, color=INK
        )
    axes.set_yticks(range(len(scores)), [_literal(score.name) for score in scores])
    axes.set_ylim(len(scores) - 0.4, -0.6)
    reach = max((score.mean + (score.deviation or 0) for score in scores), default=0.0)
    axes.set_xlim(0, 1.2 * reach or 1)
    axes.set_xlabel(_literal(quantity))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color=INK, alpha=0.2, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    return _svg(figure)


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(10)
    return figure, axes


def _literal(text: str) -> str:
    """A label as it is written: no formula in it, and short enough to leave room for the chart."""
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    shown = f" {short}" if short.startswith("_") else short  # matplotlib hides labels that begin with an underscore
    return shown.replace("$", r"\$")


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=nothing)
    return themed(file.getvalue())
