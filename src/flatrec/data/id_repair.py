"""Ids as they are meant: the same in every file, whatever program wrote it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import polars as pl

WHOLE_DECIMAL = r"^(-?[0-9]+)\.0+$"
_WHOLE = r"^(-?[0-9]+(\.0+)?)?$"
UNTIDY = rf"^\s|\s$|{WHOLE_DECIMAL}"
# What would make two ids equal that are not, and how a message says so.
_LIKENESSES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("case", str.casefold),
    ("Unicode form (é as one character or as two)", lambda text: unicodedata.normalize("NFKC", text)),
    ("leading zeros", lambda text: text.lstrip("0")),
    ("blanks and punctuation", lambda text: "".join(filter(str.isalnum, text))),
)
_TRIED = 20_000  # ids that are compared


class Tidied(NamedTuple):
    """Text ids, how many had blanks around them, and how many were whole numbers with a decimal point, one of them."""

    ids: pl.Series
    padded: int = 0
    decimals: int = 0
    decimal: str = ""


def tidied(ids: pl.Series) -> Tidied:
    """Ids without blanks around them, and ``100.0`` as ``100``: so does pandas write numbers once one is missing.

    Only where all are whole numbers, for ``1.0`` beside ``1.1`` or ``a`` is a name, such as that of a version.
    """
    if not ids.str.contains(UNTIDY).any():
        return Tidied(ids)
    stripped = ids.str.strip_chars()
    padded = int((stripped != ids).sum())
    decimals = stripped.filter(stripped.str.contains(WHOLE_DECIMAL))
    if decimals.is_empty() or not stripped.str.contains(_WHOLE).all():
        return Tidied(stripped, padded)
    return Tidied(unpointed(stripped), padded, len(decimals), decimals[0])


def tidied_list(ids: Iterable[str]) -> list[str]:
    """The same for a few ids in a list."""
    return tidied(pl.Series("id", list(ids), dtype=pl.String)).ids.to_list()


def unpointed(texts: pl.Series) -> pl.Series:
    """Texts such as ``100.0`` as ``100``, and the others as they are."""
    return texts.str.replace(WHOLE_DECIMAL, "$1")


def likeness(unmet: Collection[str], known: Collection[str]) -> str:
    """What ids that meet no known id differ in from known ones, where it is something simple; else nothing.

    Args:
        unmet: none of them is known.
        known: the ids that they might mean.
    """
    some = list(unmet)[:_TRIED]
    for what, form in _LIKENESSES:
        forms = {form(one): one for one in list(known)[:_TRIED]}
        meeting = [(one, forms[form(one)]) for one in some if form(one) and form(one) in forms]
        if meeting:
            one, other = meeting[0]
            return f"{len(meeting)} would meet but for {what}, such as {one[:30]!a} and {other[:30]!a}"
    return ""
