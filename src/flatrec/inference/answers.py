"""What a recommender answers: lists of items, each list with the path by which it came about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, overload

from jaxtyping import Float, Int64
from torch import Tensor

AnswerPath: TypeAlias = Literal["known", "members", "history", "cold-item", "popular"]


@dataclass(frozen=True)
class Reason:
    """An item of the user that contributed to a score.

    Args:
        item: its original id.
        contribution: how much of the score is due to it, or how similar it is.
        kind: ``exact`` if the contributions of all items of the user add up to the score, for users who were trained
            on together with a part of their own; ``similarity`` if it is the cosine of the two items' vectors.
        title: its title, where there is one.
    """

    item: str
    contribution: float
    kind: Literal["exact", "similarity"]
    title: str | None = None


@dataclass(frozen=True)
class Recommendation:
    """One item of a list.

    Args:
        item: original id.
        score: the recommender's score, comparable within the list only.
        title: its title, where there is one.
        image: its image file, where there is one.
        new: whether it was joined after training.
        reasons: the user's own items that contributed most, if they were asked for, the strongest first.
    """

    item: str
    score: float
    title: str | None = None
    image: Path | None = None
    new: bool = False
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ItemList(Sequence[Recommendation]):
    """A list of items, best first, and where it comes from.

    Args:
        items: the items.
        path: ``known``: by what was learned of the user. ``members``: by what was learned of the members of a group
            without a training interaction. ``history``: by a history that the caller gave, for a user who
            was not trained on. ``cold-item``: items that were not trained on, by their features. ``popular``: the most
            popular items, as nothing is known of the user.
        user: the original id of the user; None without one.
        note: why the list is empty or short, or not a personal one; empty if there is nothing to say.
    """

    items: tuple[Recommendation, ...]
    path: AnswerPath
    user: str | None = None
    note: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Recommendation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Recommendation, ...]: ...

    def __getitem__(self, index: int | slice) -> Recommendation | tuple[Recommendation, ...]:
        return self.items[index]

    def _repr_html_(self) -> str:
        from flatrec.display.lists import lists_html

        return lists_html([self])


class ItemLists(list[ItemList]):
    """The lists of several users: a list like any other, which notebooks show as rows of items."""

    def _repr_html_(self) -> str:
        from flatrec.display.lists import lists_html

        return lists_html(self)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best items of many users by index, best first, on the CPU.

    Args:
        items: item indices; -1 where a user has fewer than k items left.
        scores: their scores; minus infinity where the index is -1.
        paths: the path of each list.
    """

    items: Int64[Tensor, "n_users k"]
    scores: Float[Tensor, "n_users k"]
    paths: tuple[AnswerPath, ...]
