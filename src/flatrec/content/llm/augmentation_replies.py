"""What a language model answers about users and items, read from its JSON; what is unusable has a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

NOT_JSON = "the answer is not the JSON object that was asked for"
NO_PROFILE = "the answer has no profile"
NOT_A_CANDIDATE = "the answer names an item that is not among the candidates"
SAME_ITEM = "the answer likes and dislikes the same item"
_UNKNOWN = frozenset({"", "-", "n/a", "none", "null", "unknown", "not specified"})
_OBJECT = TypeAdapter(dict[str, object])


class UnusableReplyError(ValueError):
    """An answer that cannot be used; the message is one of a few fixed phrases."""


class Suggestion(NamedTuple):
    """Indices of two items.

    Args:
        liked: the item that a user may like.
        disliked: the item that it may not.
    """

    liked: int
    disliked: int


def read_profile(text: str) -> str:
    """Return the words about a user.

    Raises:
        UnusableReplyError: there are none.
    """
    profile = _word(_object(text).get("profile"))
    if profile is None:
        raise UnusableReplyError(NO_PROFILE)
    return profile


def read_attributes(text: str, names: Sequence[str]) -> Mapping[str, str]:
    """Return the values of an item's attributes, without those that the model does not know.

    Raises:
        UnusableReplyError: the answer is no JSON object.
    """
    values = _object(text)
    words = {name: _word(values.get(name)) for name in names}
    return {name: word for name, word in words.items() if word is not None}


def read_suggestion(text: str, candidates: Sequence[int]) -> Suggestion:
    """Return the liked and the disliked one of the candidates, which the answer names by their numbers from 1 on.

    Raises:
        UnusableReplyError: the answer is no JSON object, names no two candidates, or one candidate twice.
    """
    values = _object(text)
    liked, disliked = (_choice(values.get(name), candidates) for name in ("liked", "disliked"))
    if liked == disliked:
        raise UnusableReplyError(SAME_ITEM)
    return Suggestion(liked, disliked)


def no_value(name: str) -> str:
    """Return the reason why an item has no value of an attribute."""
    return f"the answer has no value of {name}"


def _object(text: str) -> dict[str, object]:
    """Return the JSON object in an answer, around which models like to put marks and words."""
    try:
        return _OBJECT.validate_json(text[text.find("{") : text.rfind("}") + 1])
    except ValidationError:
        raise UnusableReplyError(NOT_JSON) from None


def _word(value: object) -> str | None:
    values = value if isinstance(value, list) else [value]
    words = ", ".join(str(one).strip() for one in values if isinstance(one, str | int | float))
    return None if words.casefold() in _UNKNOWN else words


def _choice(value: object, candidates: Sequence[int]) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:9])
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= len(candidates):
        raise UnusableReplyError(NOT_A_CANDIDATE)
    return candidates[value - 1]
