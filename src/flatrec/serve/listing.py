"""The lists of a request: what the recommender is asked for, given the request and what the log says of the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from flatrec.inference.answers import ItemList
from flatrec.inference.rerank import Rerank
from flatrec.serve.errors import invalid_values
from flatrec.serve.operations import Service, UserSignals
from flatrec.serve.requests import RecommendRequest
from flatrec.serve.served import Served
from flatrec.serve.signals import hides_seen, signals_of

Exclusions: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]] | None


class Lists(NamedTuple):
    """Lists in the order of the users, and what is to be known of all of them."""

    lists: Sequence[ItemList]
    warnings: tuple[str, ...]


def lists_for(request: RecommendRequest, users: Sequence[str], served: Served, service: Service) -> Lists:
    """Return the lists of a request for some users, or for somebody without an id.

    Raises:
        Refused: a value of the request is not allowed.
    """
    signals, warnings = signals_of(users, served, service)
    hides = hides_seen(request.include_seen, served)
    history = _histories(request, users, served, signals)

    def ask(asked: Sequence[str], exclude: Exclusions, *, filter_seen: bool) -> list[ItemList]:
        return served.recommender.recommend(
            list(asked) or None,
            request.k,
            filter_seen=filter_seen,
            items=request.items,
            exclude=exclude,
            where=request.where,
            history=history,
            rerank=Rerank(diversity=request.diversity) if request.diversity else None,
            explain=request.explain,
        )

    with invalid_values():
        lists = ask(users, _excluded(request, users, signals if hides else {}), filter_seen=hides)
        if hides and (unmasked := _with_unmasked_history(signals, served)):
            instead = {one.user: one for one in ask([*unmasked], _seen(request, unmasked, served), filter_seen=False)}
            lists = [instead.get(one.user, one) for one in lists]
    return Lists(lists, warnings)


def _histories(
    request: RecommendRequest, users: Sequence[str], served: Served, signals: Mapping[str, UserSignals]
) -> Sequence[str] | Mapping[str, Sequence[str]] | None:
    """Return the history of each user: what the log says of those without training, then what the request gives."""
    given = request.history
    if not users:
        return given if not isinstance(given, dict) else None
    histories: dict[str, Sequence[str]] = dict(given) if isinstance(given, dict) else dict.fromkeys(users, given)
    for user, known in signals.items():
        if known.history and not served.trained(user):
            histories[user] = (*known.history, *histories.get(user, ()))
    return {user: history for user, history in histories.items() if history} or None


def _excluded(request: RecommendRequest, users: Sequence[str], signals: Mapping[str, UserSignals]) -> Exclusions:
    """Return what the request excludes, and what the log masks."""
    masked = {user: known.masked for user, known in signals.items() if known.masked}
    if not masked:
        return request.exclude or None
    return {user: (*request.exclude, *masked.get(user, ())) for user in users}


def _with_unmasked_history(signals: Mapping[str, UserSignals], served: Served) -> dict[str, UserSignals]:
    """Return the users whose history in the log has items that may be listed; a recommender alone lists none of it."""
    return {
        user: known
        for user, known in signals.items()
        if not set(known.history) <= set(known.masked) and not served.trained(user)
    }


def _seen(request: RecommendRequest, signals: Mapping[str, UserSignals], served: Served) -> Mapping[str, Sequence[str]]:
    """Return what users may not get: by the request, as its history, by the log, and by the data."""
    recommender, given, found = served.recommender, request.history, {}
    for user, known in signals.items():
        of_user = given.get(user, ()) if isinstance(given, dict) else given
        data: Sequence[int] = ()
        if user in recommender.users:
            row = recommender.users.index_of(user)
            data = recommender.seen.indices[recommender.seen.indptr[row] : recommender.seen.indptr[row + 1]].tolist()
        in_data = [recommender.items[index] for index in data]
        found[user] = (*request.exclude, *known.masked, *of_user, *in_data)
    return found
