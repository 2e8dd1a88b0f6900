"""Lists for users who ask at the same time, by one call: the vectors of the items are read once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from flatrec.models.scoring import Vectors
from flatrec.serve.answers import RecommendAnswer
from flatrec.serve.errors import Refused
from flatrec.serve.listing import lists_for
from flatrec.serve.operations import NoEvents, Service, Together
from flatrec.serve.recommending import answer_of, check_request, refusal, request_of
from flatrec.serve.requests import UserQuery
from flatrec.serve.served import Served

QUICK_NUMBERS, LONGEST = 2_000_000, 100  # numbers in the vectors of all items, and items of a list


def recommend_together(
    queries: Sequence[UserQuery], served: Served, service: Service
) -> list[RecommendAnswer | Refused]:
    """Return the lists of queries with equal keys."""
    users = [query.user for query in queries]
    lists, warnings = lists_for(request_of(queries[0]), users, served, service)
    return [
        (None if query.fallback else refusal(answer)) or answer_of(answer, served, service, warnings)
        for query, answer in zip(queries, lists, strict=True)
    ]


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
