"""Repair of ids, so that the same id is the same text in every file, whatever program wrote the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import polars as pl

IdMatching = Literal["exact", "trim", "trim+lower"]
WHOLE_DECIMAL = r"^(-?[0-9]+)\.0+$"
_WHOLE = r"^(-?[0-9]+(\.0+)?)?$"
_NEEDS_REPAIR = rf"^\s|\s$|{WHOLE_DECIMAL}"


class RepairedIds(NamedTuple):
    """Ids as text, and what was changed in them."""

    ids: pl.Series  # the repaired ids
    padded: int = 0  # how many ids had blanks around them
    decimals: int = 0  # how many ids were whole numbers with a decimal point
    decimal_example: str = ""  # one of these, as it was; empty if there is none
    lowercased: int = 0  # how many ids had capital letters that became lower case


def repair_ids(ids: pl.Series, matching: IdMatching = "trim") -> RepairedIds:
    """Return ids so that those which mean the same are the same text.

    Args:
        ids: the ids as text.
        matching: ``exact``: ids stay as they are; ``trim``: blanks around them are removed, and ``100.0`` is written as
            ``100``, since pandas writes ``100.0`` if an id is missing; ``trim+lower``: the same, and letters become
            lower case. Decimals are changed only if all ids are whole numbers: ``1.0`` beside ``1.1`` or ``a`` may be a
            version. An id of blanks only is empty in every case.
    """
    if matching == "exact":
        return RepairedIds(ids.str.replace(r"^\s+$", ""))
    repaired = _trimmed(ids)
    if matching == "trim":
        return repaired
    lower = repaired.ids.str.to_lowercase()
    return repaired._replace(ids=lower, lowercased=int((lower != repaired.ids).sum()))


def _trimmed(ids: pl.Series) -> RepairedIds:
    if not ids.str.contains(_NEEDS_REPAIR).any():
        return RepairedIds(ids)
    stripped = ids.str.strip_chars()
    padded = int((stripped != ids).sum())
    decimals = stripped.filter(stripped.str.contains(WHOLE_DECIMAL))
    if decimals.is_empty() or not stripped.str.contains(_WHOLE).all():
        return RepairedIds(stripped, padded)
    return RepairedIds(strip_decimal_zeros(stripped), padded, len(decimals), decimals[0])


def repair_id_list(ids: Iterable[str], matching: IdMatching = "trim") -> list[str]:
    """Return a list of ids, repaired as by :func:`repair_ids`."""
    return repair_ids(pl.Series("id", list(ids), dtype=pl.String), matching).ids.to_list()


def strip_decimal_zeros(texts: pl.Series) -> pl.Series:
    """Write texts such as ``100.0`` as ``100``; other texts stay."""
    return texts.str.replace(WHOLE_DECIMAL, "$1")
