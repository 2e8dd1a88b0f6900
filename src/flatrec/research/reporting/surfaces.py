"""Loss surfaces side by side: the shape above, the contours below, one scale for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from numpy import ndarray

from flatrec.research.reporting.plots import FONT, WIDTH, arranged, dressed, empty, literal
from flatrec.research.reporting.styles import INK

SPAN = 1e3  # ratio of the largest loss to the smallest from which the scale is logarithmic
SHAPE, CONTOURS, BAR = 1.9, 1.9, 0.8  # inches: height of a row of each, and of the color bar
COLORS = "viridis"


@dataclass(frozen=True, eq=False)
class SurfacePanel:
    """The loss over two directions.

    Args:
        title: for readers.
        along: multiples of the first direction, rising.
        across: of the second.
        losses: at along[i], across[j]; NaN where there is none.

    Raises:
        ValueError: the losses have another shape.
    """

    title: str
    along: Float[ndarray, "points"]
    across: Float[ndarray, "others"]
    losses: Float[ndarray, "_ _"]

    def __post_init__(self) -> None:
        wanted = (*self.along.shape, *self.across.shape)
        if self.losses.shape != wanted:
            raise ValueError(f"the losses of surface {self.title} need shape {wanted}, but have {self.losses.shape}")


def surfaces(panels: Sequence[SurfacePanel]) -> Figure:
    """Rows of surfaces, each above a row of contours with the middle marked; one color bar for all."""
    rows, columns = arranged(len(panels))
    height = (SHAPE + CONTOURS) * rows + BAR
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    norm = _norm(panels)
    if norm is None:
        axes = figure.add_subplot()
        dressed(axes, "")
        empty(axes)
        return figure
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[SHAPE, CONTOURS] * rows)
    for number, one in enumerate(panels):
        row, column = divmod(number, columns)
        _shape(figure.add_subplot(grid[2 * row, column], projection="3d"), one, norm)
        _contours(figure.add_subplot(grid[2 * row + 1, column]), one, norm, first=column == 0)
    _bar(figure, norm)
    return figure


def _norm(panels: Sequence[SurfacePanel]) -> Normalize | None:
    """The scale that all panels share; None where there is nothing to show."""
    found = np.concatenate([one.losses[np.isfinite(one.losses)] for one in panels] or [np.empty(0)])
    if not found.size:
        return None
    low, high = float(found.min()), float(found.max())
    if low > 0 and high / low > SPAN:
        return LogNorm(low, high)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # flat but for rounding, which is not to look like hills
        margin = 0.05 * abs(high) or 1.0
        return Normalize(low - margin, high + margin)
    return Normalize(low, high)


def _ends(norm: Normalize) -> tuple[float, float]:
    return float(norm.vmin or 0), float(norm.vmax or 0)


def _shape(axes: Axes3D, one: SurfacePanel, norm: Normalize) -> None:
    """The loss as height, its logarithm where the scale is logarithmic: 3-D axes know no other way."""
    logarithmic = isinstance(norm, LogNorm)
    axes.set_title(literal(one.title, 24), fontsize=FONT, color=INK, pad=0)
    if not np.isfinite(one.losses).any():
        axes.set_axis_off()
        return
    m, n = np.meshgrid(one.along, one.across, indexing="ij")
    losses = np.where(np.isfinite(one.losses), one.losses, np.nan)
    ends = np.log10(_ends(norm)) if logarithmic else np.array(_ends(norm))
    heights = np.log10(losses) if logarithmic else losses
    axes.plot_surface(m, n, heights, cmap=COLORS, norm=Normalize(*ends), rcount=40, ccount=40, linewidth=0)
    axes.set_zlim(*ends)
    axes.set_xticks([one.along[0], 0, one.along[-1]])
    axes.set_yticks([one.across[0], 0, one.across[-1]])
    axes.zaxis.set_major_locator(MaxNLocator(3, integer=logarithmic))
    axes.zaxis.set_major_formatter(
        FuncFormatter(lambda z, _: f"{10**z:g}") if logarithmic else FormatStrFormatter("%g")
    )
    axes.tick_params(colors=INK, labelsize=FONT, pad=2)
    for axis in (axes.xaxis, axes.yaxis):  # the contours below have their numbers, which would overlap here
        axis.set_major_formatter(NullFormatter())
    axes.set_box_aspect(None, zoom=1.1)


def _contours(axes: Axes, one: SurfacePanel, norm: Normalize, *, first: bool) -> None:
    dressed(axes, "")
    axes.grid(visible=False)
    axes.set_box_aspect(1)
    axes.set_xlabel("along", fontsize=FONT, color=INK)
    if first:
        axes.set_ylabel("across", fontsize=FONT, color=INK)
    if not np.isfinite(one.losses).any():
        empty(axes)
        return
    spaced = np.geomspace if isinstance(norm, LogNorm) else np.linspace
    levels = spaced(*_ends(norm), 13)
    levels[0], levels[-1] = _ends(norm)  # rounded, they would leave the extremes out
    m, n = np.meshgrid(one.along, one.across, indexing="ij")
    axes.contourf(m, n, np.ma.masked_invalid(one.losses), levels=levels, norm=norm, cmap=COLORS)
    axes.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.6)
    axes.set(xlim=(one.along[0], one.along[-1]), ylim=(one.across[0], one.across[-1]))
    axes.set_xticks([one.along[0], 0, one.along[-1]])
    axes.set_yticks([one.across[0], 0, one.across[-1]])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FormatStrFormatter("%g"))


def _bar(figure: Figure, norm: Normalize) -> None:
    logarithmic = isinstance(norm, LogNorm)
    shades = ScalarMappable(norm, COLORS)
    ticks = LogLocator(numticks=6) if logarithmic else MaxNLocator(5)
    bar = figure.colorbar(
        shades, ax=figure.axes, location="bottom", shrink=0.7, aspect=40, ticks=ticks, format="%g", pad=0.02
    )
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=FONT, colors=INK)
    bar.outline.set_visible(False)
    bar.set_label("training loss, log scale" if logarithmic else "training loss", fontsize=FONT, color=INK)
