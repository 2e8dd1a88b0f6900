"""What failed checks say: one line that says what was expected, what came and what to do."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

SHOWN = 5  # names in a message
LONGEST = 300  # characters of a stranger's message


class ContractError(AssertionError):
    """A model breaks its contract."""


class NotApplicableError(Exception):
    """A check has nothing to say about this model; the message says why."""


def require(claim: bool, message: str) -> None:
    """Raise a ContractError with the message unless the claim holds."""
    if not claim:
        raise ContractError(message)


def listed(names: Sequence[str]) -> str:
    """The first few names in quotes, and how many more there are."""
    rest = len(names) - SHOWN
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {rest} more" if rest > 0 else "")


def number(value: Tensor | float) -> str:
    """A number, short."""
    return f"{float(value.detach() if isinstance(value, Tensor) else value):.6g}"


def kind_of(value: object) -> str:
    """What a value is, with its article: ``a tuple``, ``None``, ``a tensor of shape (3, 2)``."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def one_line(error: BaseException, *, typed: bool = True) -> str:
    """What an error says, on one line: its kind, unless it is a failed check, its text, and where it was raised.

    Args:
        error: the error.
        typed: whether its kind is named.
    """
    said = " ".join(str(error).split())
    if isinstance(error, ContractError):
        return said
    shown = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    where = place_of(error)
    parts = [type(error).__name__] if typed or not shown else []
    return ": ".join([*parts, *([shown] if shown else [])]) + (f" ({where})" if where else "")


def place_of(error: BaseException) -> str:
    """The innermost line of the user's own code that an error passed, such as ``mine.py:41``; empty where none did."""
    foreign = [Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not {"site-packages", "dist-packages"} & set(Path(frame.filename).parts)
        and not any(Path(frame.filename).is_relative_to(folder) for folder in foreign)
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
