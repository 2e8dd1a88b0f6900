"""Docstrings in the Google form, taken apart."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

_SECTION = re.compile(r"^(Args|Example|Examples|Raises|Returns|Yields|Attributes):$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+): *", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    r"""What a docstring says.

    Args:
        summary: its first paragraph, on one line.
        body: the other paragraphs before the first section, as written.
        sections: what follows, by heading, without indentation.

    Example:
        >>> parsed("Says hello.\n\nArgs:\n    name: whom to\n        greet.").entries("Args")
        {'name': 'whom to greet.'}
    """

    summary: str
    body: str
    sections: Mapping[str, str]

    def entries(self, heading: str) -> dict[str, str]:
        """The texts of a section of the form ``name: text``, each on one line."""
        _, *parts = _ENTRY.split(self.sections.get(heading, ""))
        return {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def parsed(text: str) -> Docstring:
    """Take a docstring apart; ``text`` is without indentation, as :func:`inspect.getdoc` gives it."""
    before, *parts = _SECTION.split(text)
    summary, _, body = before.strip().partition("\n\n")
    sections = {
        heading: textwrap.dedent(content).strip() for heading, content in zip(parts[::2], parts[1::2], strict=True)
    }
    return Docstring(" ".join(summary.split()), body.strip("\n"), sections)
