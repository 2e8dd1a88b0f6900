"""Search for items and for users."""

from __future__ import annotations

from datetime import UTC, datetime

from flatrec.inference.candidates import Filters
from flatrec.serve.answers import FoundItem, ItemsAnswer, UsersAnswer
from flatrec.serve.checks import check_ids, check_length
from flatrec.serve.errors import invalid_values
from flatrec.serve.images import image_path
from flatrec.serve.operations import Service
from flatrec.serve.requests import ItemQuery, UserSearchQuery
from flatrec.serve.served import Served


def find_items(query: ItemQuery, served: Served, service: Service) -> ItemsAnswer:
    """Return the items whose ids or titles have the words of a text."""
    check_length("k", query.k, service.limits.k)
    check_ids("q", [query.q], 1, service.limits)
    catalog = served.recommender.catalog
    with invalid_values():
        allowed = Filters(where=query.where).allowed(catalog)
    indices, total = served.item_search.find(query.q, query.k, allowed)
    return ItemsAnswer(
        items=tuple(_found(served, index, service.prefix) for index in indices.tolist()),
        total=total,
        model=served.model,
        generated_at=datetime.now(UTC),
    )


def _found(served: Served, index: int, prefix: str) -> FoundItem:
    catalog = served.recommender.catalog
    item = catalog.ids[index]
    return FoundItem(
        item=item,
        title=None if catalog.titles is None else catalog.titles[index],
        image=image_path(prefix, item, None if catalog.images is None else catalog.images[index]),
        new=bool(catalog.new[index]),
        popularity=float(catalog.popularity[index]),
    )


def find_users(query: UserSearchQuery, served: Served, service: Service) -> UsersAnswer:
    """Return the users whose ids have a text, those that begin with it first."""
    check_length("k", query.k, service.limits.k)
    check_ids("q", [query.q], 1, service.limits)
    found, total = served.user_search.find(query.q, query.k)
    users = tuple(served.recommender.users[index] for index in found.tolist())
    return UsersAnswer(users=users, total=total, model=served.model, generated_at=datetime.now(UTC))
