"""The one line that refuses a condition, with the position in its text."""

from __future__ import annotations

LONGEST = 4000  # characters of an expression
DEEPEST = 50  # levels of parentheses and `not`


def refusal(position: int, reason: str) -> ValueError:
    """Return the error for a condition that cannot be read or does not fit the columns.

    Args:
        position: the first character that is wrong, counted from 1.
        reason: what was expected, what came, and what to do.
    """
    return ValueError(f"where, position {position}: {' '.join(reason.split())}")
