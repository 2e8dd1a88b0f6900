"""What clients send: one struct per request; names that it does not have are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Id: TypeAlias = Annotated[str, Meta(min_length=1, description="Original id of a user or an item.")]
Length: TypeAlias = Annotated[int, Meta(ge=1, description="Number of entries in a list.")]
Condition: TypeAlias = Annotated[
    str, Meta(description="Condition on item columns, such as `in_stock = true and price < 30`.")
]
Diversity: TypeAlias = Annotated[
    float, Meta(ge=0, le=1, description="Weight of being unlike the items above (maximal marginal relevance).")
]


class UserQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list for one user, in a path and a query."""

    user: Id
    k: Length = 10
    exclude: tuple[Id, ...] = ()
    where: Condition | None = None
    diversity: Diversity = 0.0
    explain: bool = False
    include_seen: bool | None = None
    fallback: bool = True


class RecommendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lists for one or several users, or for somebody without an id.

    ``history`` holds the items of users who were not trained on, for all of them or by user.
    """

    user: Id | None = None
    users: tuple[Id, ...] = ()
    history: tuple[Id, ...] | dict[Id, tuple[Id, ...]] = ()
    k: Length = 10
    items: tuple[Id, ...] | None = None
    exclude: tuple[Id, ...] = ()
    where: Condition | None = None
    diversity: Diversity = 0.0
    explain: bool = False
    include_seen: bool | None = None
    fallback: bool = True


class SimilarQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The items that are most similar to one item."""

    item: Id
    k: Length = 10
    where: Condition | None = None


class SimilarRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The items that are most similar to each of several items."""

    items: tuple[Id, ...]
    k: Length = 10
    where: Condition | None = None


class NewItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that the recommender does not know, by what there is of it; at least one of the three.

    ``text`` and ``image`` (the bytes of a file, in base64) are encoded as the items of the run were; ``features`` holds
    vectors by modality, such as ``{"text": [0.1, 0.2]}``, in place of that.
    """

    text: str | None = None
    image: bytes | None = None
    features: dict[str, tuple[float, ...]] = {}


class WhoWantsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The users who want an item most: a known one by its id, or a new one."""

    item: Id | None = None
    new_item: NewItem | None = None
    k: Length = 10
    include_seen: bool | None = None


class NewEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a user did with an item.

    ``time`` is an ISO date and time, in UTC unless it has a zone, or Unix seconds; left out, it is now. An event with
    an ``id`` is written once, however often it is sent.
    """

    user: Id
    item: Id
    event: Annotated[str, Meta(min_length=1, description="What happened, such as `purchase`.")] | None = None
    time: datetime | float | None = None
    id: Annotated[str, Meta(min_length=1, description="Id of the event itself, such as a UUID.")] | None = None


class EventsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events, all of which are written or none."""

    events: tuple[NewEvent, ...]


class ScoreRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scores of items for users."""

    users: tuple[Id, ...]
    items: tuple[Id, ...]


class ItemQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search in ids and titles of items; without a text, the most popular items."""

    q: str = ""
    k: Length = 20
    where: Condition | None = None


class UserSearchQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search in ids of users."""

    q: str = ""
    k: Length = 20


class ModelQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is served; nothing is asked."""
