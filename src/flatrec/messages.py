"""Lists of names in messages: as many as help, and never the whole file."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 30  # characters of a name


def shortlist(names: Iterable[str], limit: int = 10) -> str:
    """The first names with commas between them, long ones cut, and how many more there are.

    Example:
        >>> shortlist(["a", "b", "c", "d"], limit=2)
        'a, b and 2 more'
    """
    names = list(names)
    shown = ", ".join(clipped(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def quoted(names: Iterable[str], limit: int = 10) -> str:
    """The same in quotation marks and brackets, for names that a user chose: ``['sku', 'price' and 3 more]``."""
    return f"[{shortlist((repr(clipped(name)) for name in names), limit)}]"


def clipped(text: str, longest: int = _LONGEST) -> str:
    """A text, cut with an ellipsis where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
