"""The figures of studies: on white, legible on a phone and in print, each as PNG and as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Literal, TypeVar, cast

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

from flatrec.evaluation.significance import ROUNDING
from flatrec.research.reporting.styles import INK, OTHER_STYLES, Style, style_of
from flatrec.utils.atomic_write import atomic_write

WIDTH, HEIGHT = 6.4, 2.6  # inches: of a figure, of a row of panels
FONT = 9  # points
PER_INCH = 13  # characters of that size
ACROSS = 3  # panels in a row
FEW = 12  # points up to which each is marked
LONGEST, SLANTED = 34, 18  # characters of a name in a legend, and under a panel
MORE = (("-", "p"), (":", "*"), ("--", "h"))  # dash and marker of those that would share a look


@dataclass(frozen=True)
class Line:
    """A curve.

    Args:
        name: of the strategy, or of what else it is.
        x: rising.
        y: as many.
        low: lower edge of a band, if there is one.
        high: its upper edge.

    Raises:
        ValueError: the lengths differ, or one edge is missing.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"the band of line {self.name} has one edge; give both low and high, or neither")
        lengths = [len(one) for one in (self.x, self.y, self.low, self.high) if one is not None]
        if len(set(lengths)) > 1:
            raise ValueError(f"line {self.name} needs as many y, low and high as x, but has {lengths}")


@dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ViolinPanel:
    """Values by name."""

    title: str
    values: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class BarPanel:
    """Mean and deviation by series, then by category."""

    title: str
    series: Mapping[str, Mapping[str, tuple[float, float]]]


Kind = TypeVar("Kind", Panel, ViolinPanel, BarPanel)


def lines(panels: Sequence[Panel], *, x_label: str, y_label: str, log_x: bool = False, log_y: bool = False) -> Figure:
    """Panels of curves with one legend; what a logarithmic axis cannot show is left out."""
    looks = _looks(one.name for panel in panels for one in panel.lines)

    def draw(axes: Axes, panel: Panel) -> bool:
        seen = [_curve(axes, one, looks[one.name], (log_x, log_y)) for one in panel.lines]
        places = sorted({float(x) for shown in seen for x in shown})
        if places:
            axes.set(xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
            _ticks(axes.xaxis, log_x, "auto", whole=all(x.is_integer() for x in places))
            _ticks(axes.yaxis, log_y, 5)
        if log_x and 0 < len(places) <= 5:
            axes.set_xticks(places)
        axes.set_xlabel(literal(x_label), fontsize=FONT, color=INK)
        return bool(places)

    return _figure(panels, draw, y_label=y_label)


def violins(panels: Sequence[ViolinPanel], *, y_label: str) -> Figure:
    """Panels of violins, a dot a value over each; too few or equal values are dots alone, NaN is left out."""
    looks = _looks(name for panel in panels for name in panel.values)
    across = _across([(len(panel.values), 0) for panel in panels])

    def draw(axes: Axes, panel: ViolinPanel) -> bool:
        finite = {name: np.array([one for one in row if math.isfinite(one)]) for name, row in panel.values.items()}
        for place, (name, values) in enumerate(finite.items()):
            if values.size:
                _violin(axes, place, values, looks[name])
        _named(axes, list(finite))
        return any(values.size for values in finite.values())

    return _figure(panels, draw, y_label=y_label, across=across, legend=False)


def bars(panels: Sequence[BarPanel], *, y_label: str) -> Figure:
    """Panels of dots with a bar of one deviation to each side: a place a category, a color a series.

    Where every series is its own category, there is no legend.
    """
    alone = all(list(cells) == [name] for panel in panels for name, cells in panel.series.items())
    looks = _looks(name for panel in panels for name in panel.series)
    across = _across([(len(_categories(one)), 0 if alone else len(one.series)) for one in panels])

    def draw(axes: Axes, panel: BarPanel) -> bool:
        categories = _categories(panel)
        for number, (name, cells) in enumerate(panel.series.items()):
            shift = 0.0 if alone else 0.7 * ((number + 0.5) / len(panel.series) - 0.5)
            places = [categories.index(one) + shift for one in cells]
            means, deviations = ([cell[part] for cell in cells.values()] for part in (0, 1))
            put = partial(axes.errorbar, markersize=5, capsize=2, color=looks[name].color)
            put(places, means, deviations, fmt=looks[name].marker, label=literal(name))
        _named(axes, categories)
        axes.grid(visible=alone, axis="x")  # else lines part the categories
        for place in range(1, 1 if alone else len(categories)):
            axes.axvline(place - 0.5, color=INK, alpha=0.2, linewidth=0.6)
        return bool(categories)

    return _figure(panels, draw, y_label=y_label, across=across, legend=not alone)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write ``<name>.png`` and ``<name>.svg``; equal figures give equal bytes. Fixes the figure's layout.

    Raises:
        OSError: the folder cannot be written to.
    """
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out again, each time it is saved, it would move a little
        with atomic_write(folder / f"{name}.png") as png, atomic_write(folder / f"{name}.svg") as svg:
            figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
            figure.savefig(svg, format="svg", metadata=nothing)


def literal(text: str, longest: int = LONGEST) -> str:
    """A label as it is written: no formula in it, not hidden, and short enough."""
    short = text if len(text) <= longest else f"…{text[1 - longest :]}"
    return (f" {short}" if short.startswith("_") else short).replace("$", r"\$")


def dressed(axes: Axes, title: str, longest: int = LONGEST) -> None:
    """The look that all panels have."""
    axes.set_title(literal(title, longest), fontsize=FONT, color=INK)
    axes.tick_params(colors=INK, labelsize=FONT)
    axes.yaxis.get_offset_text().set(color=INK, fontsize=FONT)
    axes.grid(color=INK, alpha=0.2, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def arranged(panels: int, across: int = ACROSS) -> tuple[int, int]:
    """Rows and columns for a number of panels; four make a square where they can."""
    columns = 2 if panels == 4 and across > 1 else min(across, max(panels, 1))
    return max(math.ceil(panels / columns), 1), columns


def empty(axes: Axes) -> None:
    """Say that there is nothing to show."""
    axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes, color=INK, fontsize=FONT)
    axes.set(xticks=[], yticks=[])


def _looks(names: Iterable[str]) -> dict[str, Style]:
    """The look of each name; names that would share one in this figure take others that are free."""
    more = [Style(one.color, dash, marker) for dash, marker in MORE for one in OTHER_STYLES]
    chosen: dict[str, Style] = {}
    for name in dict.fromkeys(names):
        free = (one for one in (style_of(name), *more, *OTHER_STYLES) if one not in chosen.values())
        chosen[name] = next(free, style_of(name))
    return chosen


def _curve(axes: Axes, one: Line, look: Style, logs: tuple[bool, bool]) -> np.ndarray:
    """Draw a line; where on the horizontal axis it is seen."""
    x, y = (np.asarray(values, dtype=float) for values in (one.x, one.y))
    hidden = ~np.isfinite(x) | ~np.isfinite(y) | (logs[0] & (x <= 0)) | (logs[1] & (y <= 0))
    if not hidden.all():
        marker = look.marker if len(x) <= FEW else ""
        shown = np.where(hidden, np.nan, y)
        axes.plot(x, shown, look.dash, marker=marker, color=look.color, label=literal(one.name), markersize=4)
        if one.low is not None and one.high is not None:
            axes.fill_between(x, one.low, one.high, where=~hidden, color=look.color, alpha=0.15, linewidth=0)
    return np.asarray(x[~hidden])


def _violin(axes: Axes, place: int, values: np.ndarray, look: Style) -> None:
    # The smoothing needs a spread, and a shape over two dots would say more than is known.
    if len(values) > 2 and np.ptp(values) > ROUNDING * np.abs(values).max():
        drawn = axes.violinplot([values], [place], widths=0.8, showextrema=False)
        for body in cast(Sequence[PolyCollection], drawn["bodies"]):
            body.set_facecolor(look.color)
            body.set_alpha(0.3)
    jitter = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(place + jitter, values, look.marker, color=look.color, markersize=3.5, linestyle="")
    axes.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color=look.color, linewidth=2)


def _ticks(axis: Axis, log: bool, most: int | Literal["auto"], *, whole: bool = False) -> None:
    """Few ticks, written plainly; on a logarithmic axis at 1, 2 and 5 times the powers of ten, or at these alone."""
    if log:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
        return
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole))
    if max(map(abs, axis.get_view_interval())) >= 10_000:
        axis.set_major_formatter(EngFormatter(sep=""))  # 20k


def _categories(panel: BarPanel) -> list[str]:
    return list(dict.fromkeys(name for cells in panel.series.values() for name in cells))


def _across(counts: Sequence[tuple[int, int]]) -> int:
    """Panels in a row that leave each name under a panel, and each dot above it, room beside the next."""
    require_extra = max((names * max(0.22, 0.08 * series) for names, series in counts), default=0.0)
    return next((columns for columns in range(ACROSS, 1, -1) if require_extra <= WIDTH / columns - 0.65), 1)


def _named(axes: Axes, names: Sequence[str]) -> None:
    """Names under the places of a panel, at an angle where they would touch."""
    axes.set_xticks(range(len(names)), [literal(name, SLANTED) for name in names])
    columns = cast(int, axes.get_subplotspec().get_gridspec().ncols)  # type: ignore[union-attr]
    room = (WIDTH / columns - 0.65) / max(len(names), 1)
    if max(map(len, names), default=0) + 1.5 > PER_INCH * room:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, max(len(names), 1) - 0.4)


def _figure(
    panels: Sequence[Kind],
    draw: Callable[[Axes, Kind], bool],
    *,
    y_label: str,
    across: int = ACROSS,
    legend: bool = True,
) -> Figure:
    """A figure of panels in rows, and one legend below them for all; ``draw`` says whether there was anything."""
    rows, columns = arranged(len(panels), across)
    figure = Figure(figsize=(WIDTH, HEIGHT * rows), layout="constrained")
    handles: dict[str, Artist | Container] = {}
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < max(len(panels), 1))
        dressed(axes, panels[place].title if place < len(panels) else "", int(PER_INCH * WIDTH / columns) - 2)
        if place >= len(panels) or not draw(axes, panels[place]):
            empty(axes)
        if place % columns == 0:
            said = wrap(y_label, int(PER_INCH * (HEIGHT - 0.7)), max_lines=2, placeholder=" …")
            axes.set_ylabel(literal("\n".join(said), len(y_label)), fontsize=FONT, color=INK)
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if legend and handles:
        _legend(figure, handles)
    return figure


def _legend(figure: Figure, handles: Mapping[str, Artist | Container]) -> None:
    """Below the panels, in rows that are about equally long; the figure grows by them."""
    most = max(int(WIDTH / (max(map(len, handles)) / PER_INCH + 0.65)), 1)
    rows = math.ceil(len(handles) / most)
    figure.set_figheight(figure.get_figheight() + 0.2 + 0.2 * rows)
    look = {"frameon": False, "fontsize": FONT, "labelcolor": INK, "columnspacing": 1.2}
    columns = math.ceil(len(handles) / rows)
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=columns, **look)
