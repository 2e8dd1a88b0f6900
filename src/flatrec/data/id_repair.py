"""Repair of ids, so that the same id is the same text in every file, whatever program wrote the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

WHOLE_DECIMAL = r"^(-?[0-9]+)\.0+$"
_WHOLE = r"^(-?[0-9]+(\.0+)?)?$"
_NEEDS_REPAIR = rf"^\s|\s$|{WHOLE_DECIMAL}"


class RepairedIds(NamedTuple):
    """Ids as text, and what was changed in them."""

    ids: pl.Series  # the repaired ids
    padded: int = 0  # how many ids had blanks around them
    decimals: int = 0  # how many ids were whole numbers with a decimal point
    decimal_example: str = ""  # one of these, as it was; empty if there is none


def repair_ids(ids: pl.Series) -> RepairedIds:
    """Remove blanks around ids, and write ``100.0`` as ``100``, since pandas writes ``100.0`` if an id is missing.

    Decimals are changed only if all ids are whole numbers: ``1.0`` beside ``1.1`` or ``a`` may be a version.
    """
    if not ids.str.contains(_NEEDS_REPAIR).any():
        return RepairedIds(ids)
    stripped = ids.str.strip_chars()
    padded = int((stripped != ids).sum())
    decimals = stripped.filter(stripped.str.contains(WHOLE_DECIMAL))
    if decimals.is_empty() or not stripped.str.contains(_WHOLE).all():
        return RepairedIds(stripped, padded)
    return RepairedIds(strip_decimal_zeros(stripped), padded, len(decimals), decimals[0])


def repair_id_list(ids: Iterable[str]) -> list[str]:
    """Return a list of ids, repaired as by :func:`repair_ids`."""
    return repair_ids(pl.Series("id", list(ids), dtype=pl.String)).ids.to_list()


def strip_decimal_zeros(texts: pl.Series) -> pl.Series:
    """Write texts such as ``100.0`` as ``100``; other texts stay."""
    return texts.str.replace(WHOLE_DECIMAL, "$1")
