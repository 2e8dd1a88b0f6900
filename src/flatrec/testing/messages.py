"""What failed checks say: one line that says what was expected, what came and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from flatrec.utils.messages import raised

SHOWN = 5  # names in a message


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
    """What an error says, on one line: kind if ``typed``, text, and where it was raised; of a failed check the text."""
    return " ".join(str(error).split()) if isinstance(error, ContractError) else raised(error, typed=typed)
