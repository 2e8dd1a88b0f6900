"""A curve over epochs as a small drawing, in the color of the text around it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from flatrec.display.html import Html, element, joined, text

WIDTH, HEIGHT = 300.0, 130.0  # pixels
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 10.0, 24.0  # around the curve
MOST = 400  # points that are drawn


def curve(values: Mapping[int, float], name: str, mark: int | None = None) -> Html:
    """Return a curve with its name, the ends of both axes, and one epoch marked.

    Args:
        values: by epoch, in increasing order; what is not finite is left out, and of very many some are.
        name: what is drawn.
        mark: the epoch that is marked.
    """
    finite = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
    if not finite:
        return joined()
    ends = _Ends(min(finite), max(finite), min(finite.values()), max(finite.values()))
    step = math.ceil(len(finite) / MOST)
    kept = {epoch for place, epoch in enumerate(finite) if place % step == 0} | {ends.last, mark}
    places = {epoch: ends.place(epoch, value) for epoch, value in finite.items() if epoch in kept}
    drawing = element(
        "svg",
        _axes(ends),
        element(
            "polyline",
            points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places.values()),
            fill="none",
            stroke="currentColor",
            stroke_width="1.8",
        ),
        _dot(*places[mark]) if mark in places else "",
        _dot(*places[ends.last]) if len(places) == 1 else "",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        width=f"{WIDTH:g}",
        height=f"{HEIGHT:g}",
        role="img",
        aria_label=f"{name} over epochs {ends.first} to {ends.last}",
        style="display:block;max-width:100%;height:auto",
    )
    return element("div", text(name), drawing)


class _Ends(NamedTuple):
    """The ends of both axes."""

    first: int
    last: int
    low: float
    high: float

    def place(self, epoch: int, value: float) -> tuple[float, float]:
        """Return where a value is drawn; one alone is in the middle."""
        first, last, low, high = self
        across = (epoch - first) / (last - first) if last > first else 0.5
        up = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5  # halves cannot overflow
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _axes(ends: _Ends) -> Html:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    return joined(
        _line(LEFT, TOP, LEFT, bottom),
        _line(LEFT, bottom, right, bottom),
        _label(f"{ends.high:.4g}", LEFT - 5, TOP + 4, "end"),
        _label(f"{ends.low:.4g}", LEFT - 5, bottom, "end") if ends.high > ends.low else "",
        _label(str(ends.first), LEFT, HEIGHT - 9, "start"),
        _label("epoch", (LEFT + right) / 2, HEIGHT - 9, "middle"),
        _label(str(ends.last), right, HEIGHT - 9, "end") if ends.last > ends.first else "",
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> Html:
    ends = {name: f"{value:g}" for name, value in {"x1": x1, "y1": y1, "x2": x2, "y2": y2}.items()}
    return element("line", **ends, stroke="currentColor", stroke_opacity="0.35")


def _dot(x: float, y: float) -> Html:
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.6", fill="currentColor")


def _label(words: str, x: float, y: float, anchor: str) -> Html:
    return element("text", words, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, font_size="11", fill="currentColor")
