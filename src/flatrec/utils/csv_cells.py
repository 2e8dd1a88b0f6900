"""Cells of CSV files, which a spreadsheet must show and never execute."""

from __future__ import annotations

from collections.abc import Sequence

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def no_formulas(row: Sequence[object]) -> list[object]:
    """Return a row in which text that a spreadsheet would execute as a formula begins with an apostrophe."""
    return [no_formula(cell) if isinstance(cell, str) else cell for cell in row]


def no_formula(text: str) -> str:
    """Return text that begins with an apostrophe if a spreadsheet would execute it as a formula."""
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    if not text.startswith(_STARTS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return "_" in text or not text.isprintable()  # a number for Python, but not for a spreadsheet
