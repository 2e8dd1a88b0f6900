"""What the service answers: one struct per answer, each with the hash of the recommender that answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from flatrec.inference.answers import AnswerPath

ModelHash: TypeAlias = Annotated[str, Meta(description="Content hash of the recommender that answered.")]
Path: TypeAlias = Annotated[
    AnswerPath,
    Meta(description="How the list came about: by training, group members, history, features, popularity."),
]


class ReasonAnswer(Struct, frozen=True):
    """An item of the user that contributed to a score."""

    item: str
    contribution: float
    kind: Literal["exact", "similarity"]
    title: str | None


class ItemAnswer(Struct, frozen=True):
    """One item of a list; ``image`` is a path of this service."""

    item: str
    score: float
    title: str | None
    image: str | None
    new: bool
    reasons: tuple[ReasonAnswer, ...]


class UserList(Struct, frozen=True, kw_only=True):
    """One list of a request for several."""

    user: str | None
    path: Path
    items: tuple[ItemAnswer, ...]
    warnings: tuple[str, ...]


class RecommendAnswer(Struct, frozen=True, kw_only=True):
    """A list for one user."""

    user: str | None
    path: Path
    items: tuple[ItemAnswer, ...]
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...]


class ListsAnswer(Struct, frozen=True, kw_only=True):
    """Lists for several users, in the order of the request; each has its own path and warnings."""

    lists: tuple[UserList, ...]
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class SimilarList(Struct, frozen=True, kw_only=True):
    """The items that are similar to one item."""

    item: str
    path: Path
    items: tuple[ItemAnswer, ...]
    warnings: tuple[str, ...]


class SimilarAnswer(Struct, frozen=True, kw_only=True):
    """The items that are similar to one item."""

    item: str
    path: Path
    items: tuple[ItemAnswer, ...]
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...]


class SimilarListsAnswer(Struct, frozen=True, kw_only=True):
    """Similar items of several items, in the order of the request."""

    lists: tuple[SimilarList, ...]
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class InterestedUserAnswer(Struct, frozen=True):
    """A user who may want an item."""

    user: str
    score: float


class WhoWantsAnswer(Struct, frozen=True, kw_only=True):
    """The users for whom an item has the highest score."""

    item: str | None
    path: Path
    users: tuple[InterestedUserAnswer, ...]
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class EventsAnswer(Struct, frozen=True, kw_only=True):
    """What became of events that were sent: all of them are in the log now.

    ``written`` were not there yet, and ``repeated`` were, by their ids. ``unknown_items`` counts the items that the
    recommender does not know.
    """

    written: int
    repeated: int
    unknown_items: int
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class ScoreAnswer(Struct, frozen=True, kw_only=True):
    """The score of each item, one column each, for each user, one row each, in the order of the request."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...]
    path: Path
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class FoundItem(Struct, frozen=True):
    """An item that a search found; ``popularity`` is the sum of the weights of its training interactions."""

    item: str
    title: str | None
    image: str | None
    new: bool
    popularity: float


class ItemsAnswer(Struct, frozen=True, kw_only=True):
    """The items that a search found, and how many there are altogether."""

    items: tuple[FoundItem, ...]
    total: int
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class UsersAnswer(Struct, frozen=True, kw_only=True):
    """The ids of users that a search found, and how many there are altogether."""

    users: tuple[str, ...]
    total: int
    model: ModelHash
    generated_at: datetime
    warnings: tuple[str, ...] = ()


class ModelAnswer(Struct, frozen=True, kw_only=True):
    """The recommender that is served.

    ``columns`` has the types of the item columns, and ``choices`` the values of the text columns with few of them.
    """

    model: ModelHash
    name: str
    strategy: str
    data: str
    users: int
    items: int
    new_items: int
    interactions: int
    columns: dict[str, str]
    choices: dict[str, tuple[str, ...]]
    features: tuple[str, ...]
    test: dict[str, float]
    written_at: datetime
    loaded_at: datetime
    version: str
    generated_at: datetime
    warnings: tuple[str, ...] = ()
