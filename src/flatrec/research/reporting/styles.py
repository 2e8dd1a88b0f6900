"""The look of each strategy and model in all figures."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

INK = "#4a505a"  # text color; in charts that are part of a page, `figures` replaces it by that of the page


class Style(NamedTuple):
    """How one strategy or model is drawn, everywhere."""

    color: str
    dash: str
    marker: str


# Okabe and Ito's colors, the light ones darkened until they have 3:1 on white and on black. A mixed strategy has the
# marker of its own strategy, and differs by color and dash.
FIXED_STYLES = {
    "plain": Style("#0072b2", "-", "o"),
    "plain+": Style("#3f94cc", "--", "o"),
    "sam": Style("#b0628a", "-", "^"),
    "sam+": Style("#c77aa3", "--", "^"),
    "bsam": Style("#d55e00", "-", "s"),
    "bsam+": Style("#00906a", "--", "D"),
    "popularity": Style("#7d8590", ":", "X"),
    "item-knn": Style("#7d8590", ":", "P"),
}
OTHER_STYLES = (Style("#9a7b00", "-.", "v"), Style("#7a6ad0", "-.", "<"), Style("#8a6a4a", "-.", ">"))


def style_of(name: str) -> Style:
    """Return the style of a strategy or model; a name without a fixed style always gets the same of a few others."""
    return FIXED_STYLES.get(name) or OTHER_STYLES[crc32(name.encode()) % len(OTHER_STYLES)]
