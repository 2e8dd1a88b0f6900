"""flatrec recommend, flatrec similar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table
from flatrec.experiment import load_run
from flatrec.run import Recommendation

RunFolder = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
Length = Annotated[int, typer.Option("-k", "--length", help="How many items.")]
Moved = Annotated[str | None, typer.Option(help="Where the data are now, if they moved.")]


def recommend(
    run: RunFolder,
    user: Annotated[list[str], typer.Option(help="A user's id; repeatable.", show_default=False)],
    k: Length = 10,
    data: Moved = None,
    json: options.Json = False,
) -> None:
    """The items that a user is most likely to want and has no pair with.

    Example: `flatrec recommend runs/first --user user-00007 -k 5`
    """
    lists = load_run(run, data).recommend(user, k)
    if json:
        users = [{"user": name, "items": _plain(one)} for name, one in zip(user, lists, strict=True)]
        print_json({"run": str(run), "recommendations": users})
        return
    for name, one in zip(user, lists, strict=True):
        print_items(f"For {name}", one)


def similar(
    run: RunFolder,
    item: Annotated[str, typer.Option(help="An item's id.", show_default=False)],
    k: Length = 10,
    data: Moved = None,
    json: options.Json = False,
) -> None:
    """The items most like one.

    Example: `flatrec similar runs/first --item item-00042 -k 5`
    """
    found = load_run(run, data).similar(item, k)
    if json:
        print_json({"run": str(run), "item": item, "similar": _plain(found)})
        return
    print_items(f"Like {item}", found)


def print_items(title: str, items: Sequence[Recommendation]) -> None:
    """A table of items, best first."""
    rows = [[str(place), one.item, one.title or "", one.score] for place, one in enumerate(items, start=1)]
    print_table(title, ["", "item", "title", "score"], rows)


def _plain(items: Sequence[Recommendation]) -> list[dict[str, Any]]:
    return [asdict(one) | {"picture": str(one.picture) if one.picture else None} for one in items]
