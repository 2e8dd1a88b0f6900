"""flatrec recommend, flatrec similar."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flatrec.cli import options
from flatrec.cli.items import ImageDir
from flatrec.cli.printing import print_json, print_table, print_text

if TYPE_CHECKING:
    from flatrec.inference import cold_start
    from flatrec.inference.run import Recommendation
    from flatrec.models.base import Cold

RunFolder = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
Length = Annotated[int, typer.Option("-k", "--length", help="How many items.")]
Moved = Annotated[str | None, typer.Option(help="Where the data are now, if they moved.")]
NewItems = Annotated[
    Path | None,
    typer.Option(help="Recommend items not trained on: a table, or a folder that `flatrec encode` wrote."),
]
WithKnown = Annotated[bool, typer.Option("--with-known", help="With --new-items: list known items beside them.")]
Neighbors = Annotated[
    int | None, typer.Option(help="Known items a modality that a new item is likened to. Default 10.")
]
Way = Annotated[
    str | None, typer.Option(help="How new items get their vectors: features or nearest. Default the model's own.")
]
NEIGHBORS = 10
SHOWN = 10  # ids that a note names
WAYS: dict[Literal["features", "nearest"], str] = {
    "features": "the model's own equations (features)",
    "nearest": "the known items that they are most like (nearest)",
}


def recommend(
    run: RunFolder,
    user: Annotated[list[str], typer.Option(help="A user's id; repeatable.", show_default=False)],
    k: Length = 10,
    new_items: NewItems = None,
    with_known: WithKnown = False,
    neighbors: Neighbors = None,
    way: Way = None,
    image_dir: ImageDir = None,
    model: options.OwnModel = None,
    data: Moved = None,
    json: options.Json = False,
) -> None:
    """The items that a user is most likely to want and has no pair with.

    Example: `flatrec recommend runs/first --user user-00007 -k 5`
    """
    if new_items is None and (with_known or neighbors or way or image_dir):
        raise ValueError("--with-known, --neighbors, --way and --image-dir are about new items; give --new-items too")
    from flatrec.api import choose_device, load_run
    from flatrec.cli.progress import counting
    from flatrec.content import encode_new_items
    from flatrec.inference import cold_start
    from flatrec.runs import run_dir

    loaded = load_run(run, data, model=model)
    placed, near = None, NEIGHBORS if neighbors is None else neighbors
    if new_items is not None:
        cold_start.check_able(loaded.recommender, loaded.dataset)
        device = str(choose_device(options.experiment(None, None)))
        encoded = encode_new_items(new_items, loaded.dataset, image_dir=image_dir, device=device, progress=counting)
        items = cold_start.read_new_items(encoded, loaded.dataset, str(new_items))
        options_of_model = run_dir.read_experiment(run).model.options
        placed = cold_start.place(loaded, options_of_model, items, neighbors=near, way=way_of(way))
    if placed is None:
        lists = loaded.recommend(user, k)
    else:
        lists = cold_start.recommend(loaded, placed, user, k=k, with_known=with_known)
    if json:
        users = [{"user": name, "items": _plain(one)} for name, one in zip(user, lists, strict=True)]
        about = {} if placed is None else {"new_items": {**_facts(placed), "neighbors": near, "with_known": with_known}}
        print_json({"run": str(run), **about, "recommendations": users})
        return
    for name, one in zip(user, lists, strict=True):
        print_items(f"For {name}", one, new=frozenset(placed.items.ids) if placed is not None and with_known else None)
    if placed is not None:
        _print_facts(placed)


def similar(
    run: RunFolder,
    item: Annotated[str, typer.Option(help="An item's id.", show_default=False)],
    k: Length = 10,
    model: options.OwnModel = None,
    data: Moved = None,
    json: options.Json = False,
) -> None:
    """The items most like one.

    Example: `flatrec similar runs/first --item item-00042 -k 5`
    """
    from flatrec.api import load_run

    found = load_run(run, data, model=model).similar(item, k)
    if json:
        print_json({"run": str(run), "item": item, "similar": _plain(found)})
        return
    print_items(f"Like {item}", found)


def print_items(title: str, items: Sequence[Recommendation], *, new: Collection[str] | None = None) -> None:
    """A table of items, best first.

    Args:
        title: over the table.
        items: its rows.
        new: ids that are marked as new in a column for it, where there is one.
    """
    columns = ["", "item", "title", "score"] + (["new"] if new is not None else [])
    rows = [
        [
            str(place),
            one.item,
            one.title or "",
            one.score,
            *(["new" if one.item in new else ""] if new is not None else []),
        ]
        for place, one in enumerate(items, start=1)
    ]
    print_table(title, columns, rows)


def _plain(items: Sequence[Recommendation]) -> list[dict[str, Any]]:
    return [asdict(one) | {"image": str(one.image) if one.image else None} for one in items]


def way_of(text: str | None) -> Cold | None:
    """How new items are to get their vectors; None for the model's own way.

    Raises:
        ValueError: no way of that name.
    """
    for known in WAYS:
        if text == known:
            return known
    if text is None:
        return None
    raise ValueError(f"--way must be {' or '.join(WAYS)}, but is {text!r}")


def _facts(placed: cold_start.Placed) -> dict[str, Any]:
    items = placed.items
    return {
        "way": placed.way,
        "scored": len(items.ids),
        "ids": list(items.ids),
        "not_new": list(items.known),
        "without_modality": list(items.featureless),
    }


def _print_facts(placed: cold_start.Placed) -> None:
    """How many items were scored and how, and which ones were not."""
    items = placed.items
    print_text(f"{len(items.ids)} new items scored, placed by {WAYS[placed.way]}")
    if items.known:
        print_text(f"- not new, the data set has them, left out: {_listed(items.known)}")
    if items.featureless:
        print_text(f"- without any modality, cannot be scored, left out: {_listed(items.featureless)}")


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
    return f"{len(ids)} ({shown})"
