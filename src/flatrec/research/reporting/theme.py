"""Figures that take on the colors of the reader's color scheme."""

from __future__ import annotations

import re

from flatrec.research.reporting.styles import INK

_STYLE = (
    "<style>svg{color:#3f4650;--paper:#fff}@media (prefers-color-scheme:dark){svg{color:#c8ced8;--paper:#1b2027}}"
    "@media print{svg{color:#3f4650;--paper:#fff}}</style>"
)
_BACKGROUND = 'style="fill: #ffffff"'
_HOLLOW = re.compile(r'fill: #ffffff(?=[^"]*stroke: (?!#ffffff))')  # markers, which cover what is behind them
_OPENING = re.compile(r"<svg\b[^>]*(?<!/)>")


def themed(svg: str) -> str:
    """Return the ``<svg>`` element of a figure: its ink in the color of the scheme, and nothing behind it.

    The media queries inside hold where the figure is an image of a page, too. What has no element stays as it is.
    """
    found = _OPENING.search(svg)
    if found is None:
        return svg
    drawn = svg[found.end() :].replace(_BACKGROUND, 'style="fill: none"').replace(INK, "currentColor")
    drawn = _HOLLOW.sub("fill: var(--paper)", drawn.replace("#000000", "currentColor"))
    return f"{found.group()}{_STYLE}{drawn}"
