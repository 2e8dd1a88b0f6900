"""Items that are similar to items."""

from __future__ import annotations

from datetime import UTC, datetime

from flatrec.inference.answers import ItemList
from flatrec.serve.answers import SimilarAnswer, SimilarList, SimilarListsAnswer
from flatrec.serve.checks import check_ids, check_length, item_index
from flatrec.serve.errors import invalid_values
from flatrec.serve.operations import Service
from flatrec.serve.recommending import item_answers, warnings_of
from flatrec.serve.requests import SimilarQuery, SimilarRequest
from flatrec.serve.served import Served


def similar_to_one(query: SimilarQuery, served: Served, service: Service) -> SimilarAnswer:
    """Return the items that are similar to one item."""
    request = SimilarRequest(items=(query.item,), k=query.k, where=query.where)
    (found,) = _lists(request, served, service)
    return SimilarAnswer(
        item=query.item,
        path=found.path,
        items=item_answers(found, service),
        warnings=warnings_of(found),
        model=served.model,
        generated_at=datetime.now(UTC),
    )


def similar_to_many(request: SimilarRequest, served: Served, service: Service) -> SimilarListsAnswer:
    """Return the items that are similar to each of several items."""
    lists = tuple(
        SimilarList(item=item, path=found.path, items=item_answers(found, service), warnings=warnings_of(found))
        for item, found in zip(request.items, _lists(request, served, service), strict=True)
    )
    return SimilarListsAnswer(lists=lists, model=served.model, generated_at=datetime.now(UTC))


def _lists(request: SimilarRequest, served: Served, service: Service) -> list[ItemList]:
    check_length("k", request.k, service.limits.k)
    check_ids("items", request.items, service.limits.users, service.limits)
    for item in request.items:
        item_index(served, item, service.limits)
    with invalid_values():
        return served.recommender.similar(request.items, request.k, where=request.where)
