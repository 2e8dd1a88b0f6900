"""Lists for users who ask at the same time, by one call: the vectors of the items are read once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from flatrec.inference.answers import ItemList
from flatrec.models.scoring import Vectors
from flatrec.serve.answers import RecommendAnswer
from flatrec.serve.errors import Refused
from flatrec.serve.operations import NoEvents, Service, Together
from flatrec.serve.recommending import answer_of, check_request, lists_for, refuse_popular, request_of
from flatrec.serve.requests import UserQuery
from flatrec.serve.served import Served

QUICK_NUMBERS, LONGEST = 2_000_000, 100  # numbers in the vectors of all items, and items of a list


def recommend_together(
    queries: Sequence[UserQuery], served: Served, service: Service
) -> list[RecommendAnswer | Refused]:
    """Return the lists of queries with equal keys."""
    lists = lists_for(request_of(queries[0]), [query.user for query in queries], served, service)
    return [_answer(*pair, served, service) for pair in zip(queries, lists, strict=True)]


def _answer(query: UserQuery, answer: ItemList, served: Served, service: Service) -> RecommendAnswer | Refused:
    try:
        if not query.fallback:
            refuse_popular(answer)
    except Refused as refused:
        return refused
    return answer_of(answer, served, service)


def _key(query: UserQuery, service: Service) -> Hashable | None:
    """Return what queries of one call have in common; None if one is more than the best items by their scores."""
    if query.exclude or query.where or query.diversity or query.explain or query.k > LONGEST:
        return None
    check_request(request_of(query), (query.user,), service.limits)
    return query.k, query.include_seen


def _is_quick(served: Served, service: Service) -> bool:
    """Return True if the list of a user takes a fraction of a millisecond."""
    scoring = served.recommender.scoring
    if not isinstance(scoring, Vectors) or scoring.items.numel() > QUICK_NUMBERS:
        return False
    return isinstance(service.events, NoEvents) and served.recommender.index is None


TOGETHER = Together(_key, recommend_together, _is_quick)
