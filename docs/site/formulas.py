"""Formulas as MathML, which browsers show without any script."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]</(?P=tag)>', flags=re.DOTALL
)


def with_formulas(page: str) -> str:
    """A page of the site whose formulas in TeX have become MathML.

    Raises:
        ValueError: a formula is not understood.
    """
    return _FORMULA.sub(_mathml, page)


def _mathml(found: re.Match[str]) -> str:
    tex, displayed = html.unescape(found["tex"]).strip(), found["open"] == "["
    try:
        formula = convert(tex, display="block" if displayed else "inline")
    except Exception as error:
        raise ValueError(f"formula {tex!r} is not understood: {error!r}") from error
    if "\\" in formula:  # an unknown command is passed through
        raise ValueError(f"formula {tex!r} is not understood: a command of TeX is left in {formula}")
    return f'<div class="formula">{formula}</div>' if displayed else formula
