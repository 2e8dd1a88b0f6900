"""Text of docstrings as Markdown in which nothing means more than it says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

_SPECIAL = re.compile(r"``(?P<code>.+?)``|:\w+:`~?(?P<name>[^`]+)`|(?P<link>https?://[^\s)>]*[^\s)>.,;:])", re.DOTALL)


def table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A Markdown table."""
    cells = [columns, ["---"] * len(columns), *([(cell or "").replace("|", r"\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def code_cell(text: str) -> str:
    """A text as code; nothing where it is empty."""
    return f"`{text}`" if text else ""


def type_cell(text: str) -> str:
    """A type; the values of a choice as code."""
    return " or ".join(f"`{part}`" for part in text.split(" or "))


def body(text: str) -> str:
    """Paragraphs and indented blocks of a docstring as Markdown; blank lines stand between them."""
    return "\n".join(
        code(one) if one.startswith("    ") else paragraph(one) for one in re.split(r"\n\s*\n", text) if one
    )


def docstring(text: str) -> str:
    """A docstring's text, which may have lists, as Markdown; indented blocks are code."""
    return "\n".join(
        code(one) if one.startswith("    ") else f"{prose(one)}\n" for one in re.split(r"\n\s*\n", text) if one
    )


def one_line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def paragraph(text: str) -> str:
    """A paragraph in one line, so that nothing in it begins a list or heading."""
    marked = re.sub(r"\b(Deviations:|[Aa]s in the released code:)", r"**\1**", prose(one_line(text)))
    return f"{marked}\n"


def code(text: str) -> str:
    """An indented block, as it is."""
    return f"```text\n{textwrap.dedent(text)}\n```\n"


def prose(text: str, *, references: bool = False) -> str:
    """Text with code and links marked, in which no other character means anything to Markdown.

    With references, names of this package link to where the API pages document them.
    """
    done, written = 0, ""
    for found in _SPECIAL.finditer(text):
        written += escaped(text[done : found.start()])
        if found["name"] and references and found["name"].startswith("flatrec."):
            written += f'<autoref identifier="{found["name"]}" optional><code>{found["name"]}</code></autoref>'
        else:
            literal = found["code"] or found["name"]
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
