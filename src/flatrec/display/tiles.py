"""A row of items: image, name, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flatrec.display.html import LINE, Content, Html, element, soft, text
from flatrec.display.thumbnails import thumbnails

LONGEST_NAME = 60  # characters
_TILE = f"width:7.6rem;border:{LINE};border-radius:6px;overflow:hidden;font-size:.88em;line-height:1.35"
_IMAGE = "display:block;width:100%;height:6rem;object-fit:contain;margin:0"
_CENTERED = "display:flex;align-items:center;justify-content:center"
_BLANK = f"{_CENTERED};height:6rem;background:rgba(128,128,128,.18);font-size:1.6em"


@dataclass(frozen=True)
class Tile:
    """An item of a row.

    Args:
        name: its title, or its id where it has none.
        image: its image file, where there is one.
        lines: what is said of it.
    """

    name: str
    image: Path | None = None
    lines: tuple[Content, ...] = ()


def tile_rows(rows: Sequence[Sequence[Tile]]) -> list[Html]:
    """Return each row of tiles; the images of all rows together are bounded in number."""
    images = thumbnails([tile.image for row in rows for tile in row])
    return [
        element(
            "div",
            *(_tile(tile, address) for tile, address in zip(row, images, strict=False)),
            style="display:flex;flex-wrap:wrap;gap:.5rem;margin:.4em 0",
        )
        for row in rows
    ]


def _tile(tile: Tile, address: str) -> Html:
    return element(
        "div",
        element("img", src=address, alt="", style=_IMAGE) if address else _blank(tile.name),
        element(
            "div",
            element("div", text(tile.name, LONGEST_NAME)),
            *map(soft, tile.lines),
            style="padding:.3em .45em .4em",
        ),
        style=_TILE,
    )


def _blank(name: str) -> Html:
    """Return what stands for an image that is missing: the first letter of the name."""
    return element("div", (name.strip() or "?")[0].upper(), aria_hidden="true", style=_BLANK)
