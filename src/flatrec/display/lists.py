"""Lists of recommended items in a notebook: images, titles, scores and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flatrec.display.html import LONGEST, Content, Html, element, page, soft, text
from flatrec.display.tiles import Tile, tile_rows
from flatrec.utils.messages import clipped

if TYPE_CHECKING:
    from flatrec.inference.answers import ItemList, Reason, Recommendation

N_LISTS, N_ITEMS = 10, 20
PATHS = {
    "known": "Learned from what this user bought.",
    "members": "Learned from the members of this group.",
    "history": "Worked out from the items given, without training.",
    "cold-item": "By the features of an item that is new.",
    "popular": "Not personal: the most popular items.",
}  # the words of the service's page
SIMILAR_PATHS = {
    "known": "By what was learned of the item.",
    "cold-item": "By the features of the item, which is new.",
}


def lists_html(lists: Sequence[ItemList]) -> str:
    """Return the first ten lists, and of each the first twenty items."""
    shown = lists[:N_LISTS]
    rows = tile_rows([[_tile(rank, one) for rank, one in enumerate(items[:N_ITEMS], start=1)] for items in shown])
    more = soft(f"and {len(lists) - N_LISTS} more lists") if len(lists) > N_LISTS else ""
    return page(*(_list(items, row) for items, row in zip(shown, rows, strict=True)), more)


def _list(items: ItemList, row: Html) -> Html:
    return element(
        "div",
        *([element("b", text(items.user))] if items.user is not None else []),
        soft(_path(items)),
        *([soft(text(items.note, 300))] if items.note else []),
        row,
        soft(f"and {len(items) - N_ITEMS} more items") if len(items) > N_ITEMS else "",
        style="margin-bottom:1em",
    )


def _path(items: ItemList) -> str:
    """Return how a list came about; only lists of similar items are learned and for nobody."""
    words = {**PATHS, **SIMILAR_PATHS} if items.user is None else PATHS
    return words[items.path]


def _tile(rank: int, one: Recommendation) -> Tile:
    lines: list[Content] = [f"{rank}. score {one.score:.3g}"]
    if reasons := [reason for reason in one.reasons if reason.contribution > 0]:
        lines.append(_because(reasons))
    return Tile(one.title or one.item, one.image, (*lines, *(["new"] if one.new else [])))


def _because(reasons: Sequence[Reason]) -> Html:
    """Return the strongest reason in words; pointed at, it names all of them with what they contribute."""
    every = "; ".join(f"{_name(one)} ({one.kind} {one.contribution:.3f})" for one in reasons)
    return element("span", "because of ", text(_name(reasons[0]), 60), title=every)


def _name(reason: Reason) -> str:
    return clipped(reason.title or reason.item, LONGEST)
