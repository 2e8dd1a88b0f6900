"""A request for lists: whom they are for, how long they are, and what else they should be like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from flatrec.inference.candidates import Filters, id_tuple
from flatrec.inference.fold_in import DEFAULT, FoldIn
from flatrec.inference.rerank import Rerank

Histories: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class ListRequest:
    """A request for one list per user.

    Args:
        users: original ids, known or not; None for somebody without one.
        k: length of a list.
        filters: which items may be recommended.
        histories: items by user, for users who were not trained on.
        fold_in: how a vector is made of a history.
        rerank: what else the lists should be like, beyond the order of the scores.
    """

    users: Sequence[str | None]
    k: int
    filters: Filters
    histories: Mapping[str | None, Sequence[str]] = field(default_factory=dict)
    fold_in: FoldIn = DEFAULT
    rerank: Rerank | None = None


def asked_users(users: str | Iterable[str | None] | None) -> tuple[str | None, ...]:
    """Return the users of a request.

    Raises:
        TypeError: an id is no text.
    """
    if users is None or isinstance(users, str):
        return (None if users is None else str(users),)
    if not isinstance(users, (bytes, Iterable)):
        return id_tuple("users", users)
    asked = tuple(users)
    named = iter(id_tuple("users", [user for user in asked if user is not None]))
    return tuple(None if user is None else next(named) for user in asked)


def histories_by_user(history: Histories | None, users: Sequence[str | None]) -> dict[str | None, Sequence[str]]:
    """Return the history of each user.

    Raises:
        TypeError: a history is one text, or an id is no text.
    """
    if history is None:
        return {}
    if isinstance(history, Mapping):
        return {user: id_tuple("history", history[user]) for user in users if user is not None and user in history}
    return dict.fromkeys(users, id_tuple("history", history))
