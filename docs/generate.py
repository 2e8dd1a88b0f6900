"""Writes docs/models.md from what the models say of themselves; `make docs` runs it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from flatrec.cli.descriptions import Description, Reference, describe
from flatrec.models import MODELS, YARDSTICKS

PAGE = Path(__file__).parent / "models.md"

INTRODUCTION = """\
# Models

<!-- Written by `make docs` from the docstrings of the models; change those. -->

A model is chosen by name (`flatrec train --model freedom`) and set with `--set model.SETTING=VALUE`; in Python it is a
class of `flatrec.models` that takes the data set and the same settings. *Modalities* says which item features it reads:
none, or those of any data set with one or more modalities, by any name. *Usually tried* are the values that searches
go through. Yardsticks need no training; they are what a trained model must beat. To write a model of your own read
[Adding a model](adding-a-model.md).
"""

_SPECIAL = re.compile(r"``(?P<code>.+?)``|:\w+:`~?(?P<name>[^`]+)`|(?P<link>https?://[^\s)>]*[^\s)>.,;:])", re.DOTALL)
_ITEM = re.compile(r"([-*+]|\d+[.)]) ")
_EQUATION = re.compile(r"[A-Za-z]\w*(\[[^\]]*\]|\([^)]*\))? (=|<-) ")


def models_page() -> str:
    """The whole page."""
    models, yardsticks = ([describe(name) for name in names] for names in (MODELS, YARDSTICKS))
    rows = [[f"[`{one.name}`](#{one.name})", prose(one.about), one.modalities, cited(one)] for one in models]
    others = [[f"[`{one.name}`](#{one.name})", prose(one.about), cited(one)] for one in yardsticks]
    parts = [
        INTRODUCTION,
        table(["name", "what it is", "modalities", "reference"], rows),
        table(["yardstick", "what it is", "reference"], others),
        *(section(one) for one in (*models, *yardsticks)),
    ]
    return "\n".join(parts)


def cited(one: Description) -> str:
    """Authors, venue and year, linked to the paper."""
    reference: Reference | None = one.reference
    return "" if reference is None else f"[{prose(str(reference))}]({reference.link})"


def section(one: Description) -> str:
    """A model: what its docstring says, its settings, and the values usually tried."""
    kind = f"`flatrec.models.{one.kind.__name__}`"
    parts = [
        f"## {one.name}\n",
        f"{kind}, modalities: {one.modalities}.\n",
        prose(one.doc.summary) + "\n",
        body(one.doc.body),
    ]
    if one.doc.entries("Args"):
        rows = [[f"`{a.name}`", f"`{a.type}`", a.default and f"`{a.default}`", prose(a.meaning)] for a in one.arguments]
        parts.append(table(["setting", "type", "default", "meaning"], rows))
    if one.search_space:
        tried = [[f"`{key}`", ", ".join(map(str, values))] for key, values in one.search_space.items()]
        parts.append(table(["setting", "usually tried"], tried))
    parts += [f"Raises `{error}`: {prose(when)}\n" for error, when in one.doc.entries("Raises").items()]
    if "Example" in one.doc.sections:
        parts.append(example(one))
    return "\n".join(part for part in parts if part)


def table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A Markdown table."""
    cells = [columns, ["---"] * len(columns), *([(cell or "").replace("|", r"\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def example(one: Description) -> str:
    """The example as code that runs on its own; what it prints stands in comments."""
    lines = [f"from flatrec.models import {one.kind.__name__}"]
    if "torch." in one.doc.sections["Example"]:
        lines.insert(0, "import torch\n")
    for line in one.doc.sections["Example"].splitlines():
        lines.append(line[4:] if line.startswith((">>> ", "... ")) else f"# {line}")
    return "\n".join(["```python", *lines, "```", ""])


def body(text: str) -> str:
    """Paragraphs, lists and indented blocks of a docstring as Markdown."""
    return "\n".join(piece for block in re.split(r"\n\s*\n", text) for piece in pieces(block.split("\n")) if piece)


def pieces(lines: Sequence[str]) -> list[str]:
    """What lines without a blank one between them consist of: paragraphs, lists and indented blocks."""
    grouped: list[tuple[str, list[str]]] = []
    for line in lines:
        kind = _kind(line, *(grouped[-1] if grouped else ("", [])))
        if not grouped or grouped[-1][0] != kind:
            grouped.append((kind, []))
        grouped[-1][1].append(line)
    writers = {"list": listing, "code": code, "text": paragraph}
    return [writers[kind](one) for kind, one in grouped if any(one)]


def _kind(line: str, kind: str, before: Sequence[str]) -> str:
    """To what a line belongs, given to what those before it did."""
    announced = not before or before[-1].endswith(":")
    if _ITEM.match(line) and (kind == "list" or announced):
        return "list"
    if line.startswith("  "):
        return "list" if kind == "list" else "code"
    return "text"


def paragraph(lines: Sequence[str]) -> str:
    """Lines as they are; an equation that begins a line after a full stop or semicolon keeps its line."""
    kept = list(lines)
    for place, line in enumerate(lines[1:], start=1):
        if _EQUATION.match(line) and lines[place - 1].endswith((".", ";", ":")):
            kept[place - 1] += "\0"
    text = prose("\n".join(kept)).replace("\0", "\\")
    text = re.sub(r"\b(Deviations:)|^(As in the released code:)", r"**\1\2**", text)
    return "".join(re.sub(r"^([-*+>#]|\d+(?=[.)]))(?=[ .)])", _unmarked, line) + "\n" for line in text.split("\n"))


def _unmarked(mark: re.Match[str]) -> str:
    """The beginning of a line that would begin a list or heading, escaped."""
    return f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}"


def listing(lines: Sequence[str]) -> str:
    """A list, each item with its continuation."""
    return prose("\n".join(lines)) + "\n"


def code(lines: Sequence[str]) -> str:
    """An indented block, as it is."""
    return f"```text\n{textwrap.dedent(chr(10).join(lines))}\n```\n"


def prose(text: str) -> str:
    """Text with code and links marked, in which no other character means anything to Markdown."""
    done, written = 0, ""
    for found in _SPECIAL.finditer(text):
        literal = found["code"] or found["name"]
        written += escaped(text[done : found.start()])
        written += f"`{literal}`" if literal else f"<{found['link']}>"
        done = found.end()
    return written + escaped(text[done:])


def escaped(text: str) -> str:
    """Plain text for Markdown; what is harmless where it stands (a_b, a * b, a < b) stays readable."""
    text = re.sub(r"([\\`~$])", r"\\\1", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)
    text = re.sub(r"(?<![\s])\*|\*(?![\s])", r"\\*", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return re.sub(r"\](?=[(\[:])", r"\\]", text)


if __name__ == "__main__":
    PAGE.write_text(models_page(), encoding="utf-8")
