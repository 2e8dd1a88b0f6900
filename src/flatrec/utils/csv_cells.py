"""Cells of CSV files for readers, which a spreadsheet must show and never carry out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Cell: TypeAlias = str | float | int | None

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def no_formulas(row: Sequence[Cell]) -> list[Cell]:
    """A row in which text that a spreadsheet would take for a formula has an apostrophe before it; numbers stay."""
    return [no_formula(cell) if isinstance(cell, str) else cell for cell in row]


def no_formula(text: str) -> str:
    """Text with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    if not text.startswith(_STARTS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return "_" in text or not text.isprintable()  # Python's numbers, but no spreadsheet's
