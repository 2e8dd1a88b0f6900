"""Lists for users: by training, by a history, or the most popular items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from flatrec.inference.answers import ItemList, Recommendation
from flatrec.serve.answers import ItemAnswer, ListsAnswer, ReasonAnswer, RecommendAnswer, UserList
from flatrec.serve.checks import check_ids, check_length
from flatrec.serve.errors import Refused
from flatrec.serve.images import image_path
from flatrec.serve.listing import lists_for
from flatrec.serve.operations import Service
from flatrec.serve.requests import RecommendRequest, UserQuery
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits
from flatrec.utils.messages import clipped


def recommend_one(query: UserQuery, served: Served, service: Service) -> RecommendAnswer:
    """Return the list of one user."""
    request = request_of(query)
    check_request(request, (query.user,), service.limits)
    (answer,), warnings = lists_for(request, (query.user,), served, service)
    if not query.fallback and (refused := refusal(answer)):
        raise refused
    return answer_of(answer, served, service, warnings)


def request_of(query: UserQuery) -> RecommendRequest:
    """Return a query as the request that says the same."""
    return RecommendRequest(
        user=query.user,
        k=query.k,
        exclude=query.exclude,
        where=query.where,
        diversity=query.diversity,
        explain=query.explain,
        include_seen=query.include_seen,
        fallback=query.fallback,
    )


def answer_of(answer: ItemList, served: Served, service: Service, warnings: Sequence[str]) -> RecommendAnswer:
    """Return a list as the answer of one user.

    Args:
        answer: the list.
        served: the recommender that made it.
        service: what operations share.
        warnings: what is to be known of it beside what it says of itself.
    """
    return RecommendAnswer(
        user=answer.user,
        path=answer.path,
        items=item_answers(answer, service),
        warnings=(*warnings_of(answer), *warnings),
        model=served.model,
        generated_at=datetime.now(UTC),
    )


def recommend_many(request: RecommendRequest, served: Served, service: Service) -> ListsAnswer:
    """Return the lists of several users, or of somebody without an id."""
    users = _users(request)
    check_request(request, users, service.limits)
    lists, warnings = lists_for(request, users, served, service)
    for answer in () if request.fallback else lists:
        if refused := refusal(answer):
            raise refused
    answers = tuple(
        UserList(user=answer.user, path=answer.path, items=item_answers(answer, service), warnings=warnings_of(answer))
        for answer in lists
    )
    return ListsAnswer(lists=answers, model=served.model, generated_at=datetime.now(UTC), warnings=warnings)


def _users(request: RecommendRequest) -> tuple[str, ...]:
    if request.user is None:
        return request.users
    if request.users:
        raise Refused(422, "user and users must not be given together; put all ids into users")
    return (request.user,)


def check_request(request: RecommendRequest, users: Sequence[str], limits: Limits) -> None:
    """Refuse a request that is beyond a limit.

    Raises:
        Refused: it is.
    """
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


def refusal(answer: ItemList) -> Refused | None:
    """Return what is said to those who do not want the most popular items, if a list holds them."""
    if answer.path != "popular":
        return None
    who = "the request" if answer.user is None else f"user {clipped(answer.user)!r}"
    return Refused(404, f"{who} must be known or have a history, as fallback is false, but is not; give a history")


def item_answers(items: ItemList, service: Service) -> tuple[ItemAnswer, ...]:
    """Return the items of a list as they are answered."""
    return tuple(_item_answer(item, service.prefix) for item in items)


def _item_answer(item: Recommendation, prefix: str) -> ItemAnswer:
    reasons = tuple(ReasonAnswer(one.item, one.contribution, one.kind, one.title) for one in item.reasons)
    return ItemAnswer(item.item, item.score, item.title, image_path(prefix, item.item, item.image), item.new, reasons)


def warnings_of(items: ItemList) -> tuple[str, ...]:
    """Return what a list says of itself."""
    return (items.note,) if items.note else ()
