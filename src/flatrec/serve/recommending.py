"""Lists for users: by training, by a history, or the most popular items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from flatrec.inference.answers import ItemList, Recommendation
from flatrec.inference.rerank import Rerank
from flatrec.models.scoring import Vectors
from flatrec.serve.answers import ItemAnswer, ListsAnswer, ReasonAnswer, RecommendAnswer, UserList
from flatrec.serve.checks import check_ids, check_length
from flatrec.serve.errors import Refused, invalid_values
from flatrec.serve.images import image_path
from flatrec.serve.operations import NoEvents, Service, UserSignals
from flatrec.serve.requests import RecommendRequest, UserQuery
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits
from flatrec.serve.signals import hides_seen, signals_of
from flatrec.utils.messages import clipped

Exclusions: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]] | None
QUICK_NUMBERS, QUICK_LENGTH = 2_000_000, 100  # numbers in the vectors of all items, and items of a list


def recommend_one(query: UserQuery, served: Served, service: Service) -> RecommendAnswer:
    """Return the list of one user."""
    request = RecommendRequest(
        user=query.user,
        k=query.k,
        exclude=query.exclude,
        where=query.where,
        diversity=query.diversity,
        explain=query.explain,
        include_seen=query.include_seen,
        fallback=query.fallback,
    )
    (answer,), warnings = _lists(request, served, service)
    return RecommendAnswer(
        user=answer.user,
        path=answer.path,
        items=item_answers(answer, service),
        warnings=(*warnings_of(answer), *warnings),
        model=served.model,
        generated_at=datetime.now(UTC),
    )


def is_quick(query: UserQuery, served: Served, service: Service) -> bool:
    """Return True if the list of one user takes well below a millisecond: few items, and nothing but their scores."""
    scoring = served.recommender.scoring
    if not isinstance(scoring, Vectors) or scoring.items.numel() > QUICK_NUMBERS or query.k > QUICK_LENGTH:
        return False
    plain = not (query.exclude or query.where or query.diversity or query.explain)
    return plain and isinstance(service.events, NoEvents) and served.recommender.index is None


def recommend_many(request: RecommendRequest, served: Served, service: Service) -> ListsAnswer:
    """Return the lists of several users, or of somebody without an id."""
    answers, warnings = _lists(request, served, service)
    lists = tuple(
        UserList(user=answer.user, path=answer.path, items=item_answers(answer, service), warnings=warnings_of(answer))
        for answer in answers
    )
    return ListsAnswer(lists=lists, model=served.model, generated_at=datetime.now(UTC), warnings=warnings)


def _lists(request: RecommendRequest, served: Served, service: Service) -> tuple[list[ItemList], tuple[str, ...]]:
    """Return the lists, and what is to be known of all of them."""
    users = _users(request)
    _check(request, users, service.limits)
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
    if not request.fallback:
        _refuse_popular(lists)
    return lists, warnings


def _users(request: RecommendRequest) -> tuple[str, ...]:
    if request.user is None:
        return request.users
    if request.users:
        raise Refused(422, "user and users must not be given together; put all ids into users")
    return (request.user,)


def _check(request: RecommendRequest, users: Sequence[str], limits: Limits) -> None:
    check_length("k", request.k, limits.k)
    check_ids("users", users, limits.users, limits)
    histories = request.history.values() if isinstance(request.history, dict) else [request.history]
    for history in histories:
        check_ids("history", history, limits.history, limits)
    check_ids("exclude", request.exclude, limits.ids, limits)
    check_ids("items", request.items or (), limits.ids, limits)
    if isinstance(request.history, dict) and not request.history.keys() <= set(users):
        other = next(iter(request.history.keys() - set(users)))
        raise Refused(422, f"history has the user {clipped(other)!r}, who is not among users; add the id there")


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


def _refuse_popular(lists: Sequence[ItemList]) -> None:
    for answer in lists:
        if answer.path == "popular":
            who = "the request" if answer.user is None else f"user {clipped(answer.user)!r}"
            raise Refused(
                404, f"{who} must be known or have a history, as fallback is false, but is not; give a history"
            )


def item_answers(items: ItemList, service: Service) -> tuple[ItemAnswer, ...]:
    """Return the items of a list as they are answered."""
    return tuple(_item_answer(item, service.prefix) for item in items)


def _item_answer(item: Recommendation, prefix: str) -> ItemAnswer:
    reasons = tuple(ReasonAnswer(one.item, one.contribution, one.kind, one.title) for one in item.reasons)
    return ItemAnswer(item.item, item.score, item.title, image_path(prefix, item.item, item.image), item.new, reasons)


def warnings_of(items: ItemList) -> tuple[str, ...]:
    """Return what a list says of itself."""
    return (items.note,) if items.note else ()
