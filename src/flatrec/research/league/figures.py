"""The figures of a cell: quality against cost, and the best validation score over trials."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.league.cost import ParetoPoint
from flatrec.research.league.runs import MethodRuns
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.plots import FONT, WIDTH, Line, Panel, dressed, lines, literal
from flatrec.research.reporting.styles import INK, style_of

HEIGHT = 4.0  # inches
LETTER = 0.62  # width of a letter, relative to its height
MARK = 5.0  # half the width of a marker and the gap around it, in points
FRONT, BASELINE = style_of("bsam+").color, style_of("plain").color


def pareto_figure(points: Sequence[ParetoPoint], metric: str, baseline: str) -> Figure:
    """Draw the methods of a cell by seconds and quality; those that none dominates are joined.

    Args:
        points: the methods.
        metric: metric of the vertical axis.
        baseline: name of the method that has a mark of its own.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    dressed(axes, "")
    axes.set_xlabel("seconds of training, mean over finals", fontsize=FONT, color=INK)
    axes.set_ylabel(literal(f"{metric_name(metric)} on the test split"), fontsize=FONT, color=INK)
    front = sorted((point for point in points if not point.is_dominated), key=lambda point: point.seconds)
    axes.plot(*_places(front), "-", color=FRONT, linewidth=1.2, alpha=0.6)
    for point in points:
        _mark(axes, point, is_baseline=point.method == baseline)
    axes.margins(x=0.12, y=0.12)
    axes.set_xlim(left=0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # labels are placed for this layout
    _name(axes, points, baseline)
    return figure


def progress_figure(runs: Sequence[MethodRuns], monitor: str) -> Figure:
    """Draw the best validation score over the trials of each method of a cell."""
    best = max if higher_is_better(monitor) else min
    drawn = []
    for one in runs:
        scored = [(record.number, record.score) for record in one.trials if record.score is not None]
        if scored:
            numbers, scores = zip(*scored, strict=True)
            drawn.append(Line(one.method, tuple(map(float, numbers)), tuple(accumulate(scores, best))))
    label = f"best validation {metric_name(monitor)}"
    return lines([Panel("", tuple(drawn))], x_label="number of the trial", y_label=label)


def svg(figure: Figure, name: str) -> bytes:
    """Return a figure as SVG; equal figures give equal bytes."""
    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return file.getvalue()


def _mark(axes: Axes, point: ParetoPoint, *, is_baseline: bool) -> None:
    """Draw a method: filled if none dominates it, a square for the baseline, with a bar of one deviation."""
    color = BASELINE if is_baseline else INK if point.is_dominated else FRONT
    axes.errorbar(
        [point.seconds],
        [_quality(point)],
        yerr=[point.quality.deviation or 0.0],
        fmt="s" if is_baseline else "o",
        color=color,
        markerfacecolor="white" if point.is_dominated else color,
        markersize=6,
        elinewidth=0.8,
        alpha=0.9,
    )


class _Label(NamedTuple):
    """A place for a name: its offset from the point in points, and how the text is aligned there."""

    x: float
    y: float
    alignment: str


def _offsets() -> Iterator[_Label]:
    """Yield places around a point, near ones first."""
    for distance in (7.0, 14.0, 24.0, 36.0, 50.0, 66.0, 84.0):
        for x, y, alignment in ((1, 0, "left"), (1, 1, "left"), (1, -1, "left"), (-1, 0, "right"), (-1, 1, "right")):
            yield _Label(distance * x, distance * y, alignment)
        yield _Label(-distance, -distance, "right")
        yield _Label(0, distance, "center")
        yield _Label(0, -distance, "center")


def _name(axes: Axes, points: Sequence[ParetoPoint], baseline: str) -> None:
    """Write the name of each method beside its mark, where it covers neither marks nor other names."""
    scale = 72 / axes.figure.dpi
    places = [axes.transData.transform((point.seconds, _quality(point))) * scale for point in points]
    taken = [Bbox.from_extents(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in places]
    inside = Bbox(axes.get_window_extent().get_points() * scale)
    for point, (x, y) in zip(points, places, strict=True):
        text = literal(point.method + (" (baseline)" if point.method == baseline else ""))
        fitting = (one for one in _offsets() if _fits(_box(text, x, y, one), taken, inside))
        label = next(fitting, _Label(7.0, 0.0, "left"))
        taken.append(_box(text, x, y, label))
        far = max(abs(label.x), abs(label.y)) > 7
        axes.annotate(
            text,
            (point.seconds, _quality(point)),
            (label.x, label.y),
            textcoords="offset points",
            ha=label.alignment,
            va="center",
            fontsize=FONT,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.5, "alpha": 0.5} if far else None,
        )


def _box(text: str, x: float, y: float, label: _Label) -> Bbox:
    """Return the box of a text, in points."""
    width, height = LETTER * FONT * len(text), 1.25 * FONT
    left = x + label.x - {"left": 0.0, "center": width / 2, "right": width}[label.alignment]
    return Bbox.from_bounds(left, y + label.y - height / 2, width, height)


def _fits(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> bool:
    within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return bool(within) and not any(box.overlaps(other) for other in taken)


def _places(points: Sequence[ParetoPoint]) -> tuple[list[float], list[float]]:
    return [point.seconds for point in points], [_quality(point) for point in points]


def _quality(point: ParetoPoint) -> float:
    assert point.quality.mean is not None  # there would be no point
    return point.quality.mean
