"""Parts of the cards: front matter, tables, and text that no name in it can change the meaning of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from huggingface_hub import CardData

_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#$~])")


def check_license(name: str | None) -> None:
    """Make sure that a license can stand in a card; the Hub knows which ones there are.

    Raises:
        ValueError: it is no identifier.
    """
    if name is not None and not _LICENSE.fullmatch(name):
        raise ValueError(
            f"--license must be an identifier of the Hub, such as mit, apache-2.0, cc-by-4.0 or other, but is {name!r}"
        )


def with_front_matter(data: CardData, lines: Iterable[str]) -> str:
    """Return a card: the metadata that the Hub reads, then the text."""
    text = "\n".join(lines).strip()
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n\n{text}\n"


def plain(value: object) -> str:
    r"""Return a value as Markdown shows it literally, on one line.

    Example:
        >>> plain("a|b *c*"), plain(0.123456), plain(None)
        ('a\\|b \\*c\\*', '0.1235', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return _SPECIAL.sub(r"\\\1", "".join(char if char.isprintable() else " " for char in str(value)))


def code(value: object) -> str:
    """Return a value as code within a line, whatever is in it."""
    text = "".join(char if char.isprintable() else " " for char in str(value)).replace("`", "'").replace("|", "/")
    return f"`{text}`"


def fenced(language: str, text: str) -> list[str]:
    """Return the lines of a block of code, which nothing in it can end."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return [f"{fence}{language}", text.rstrip("\n"), fence]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table; cells that are texts are Markdown already."""
    cells = [[cell if isinstance(cell, str) else plain(cell) for cell in row] for row in rows]
    return [_row(columns), _row(["---"] * len(columns)), *map(_row, cells), ""]


def license_lines(name: str | None) -> list[str]:
    """Return the section on the license."""
    said = f"{plain(name)}" if name is not None else "No license was stated. Without one, ask the owner before any use."
    return ["## License", "", said, ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
