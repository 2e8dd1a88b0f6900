"""flatrec recommend, flatrec similar."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.items import ImageDir
from flatrec.cli.printing import print_items, print_json, print_text

if TYPE_CHECKING:
    from flatrec.inference.cold_start import NewItemEmbeddings
    from flatrec.inference.run import Recommendation

TopK = Annotated[int, typer.Option("-k", "--top-k", help="Number of items in a list.")]
NewItems = Annotated[
    Path | None,
    typer.Option(help="Table of items that were not trained on, or a folder of them that `flatrec encode` wrote."),
]
IncludeKnown = Annotated[
    bool, typer.Option("--include-known", help="With --new-items: list known items as well as new ones.")
]
N_SHOWN = 10  # ids that a note names


def recommend(
    run: options.RunDir,
    user: Annotated[list[str], typer.Option(help="Id of a user; repeatable.", show_default=False)],
    k: TopK = 10,
    new_items: NewItems = None,
    include_known: IncludeKnown = False,
    n_neighbors: options.NNeighbors = None,
    method: options.Method = None,
    image_dir: ImageDir = None,
    model: options.OwnModel = None,
    data: options.MovedData = None,
    json: options.Json = False,
) -> None:
    """Recommend the items that a user is most likely to want and has no interaction with.

    Example: `flatrec recommend runs/first --user user-00007 -k 5`
    """
    from flatrec.api import load_run

    if new_items is None and (include_known or n_neighbors or method or image_dir):
        raise ValueError(
            "--include-known, --n-neighbors, --method and --image-dir are about new items; give --new-items too"
        )
    loaded = load_run(run, data, model=model)
    if new_items is None:
        _print_lists({"run": str(run)}, user, loaded.recommend(user, k), json=json)
        return
    from flatrec.cli.progress import counting
    from flatrec.content import encode_new_items
    from flatrec.inference.cold_start import check_supported, recommend_new_items
    from flatrec.runs.session import choose_device

    n_neighbors = options.N_NEIGHBORS if n_neighbors is None else n_neighbors
    check_supported(loaded, method=method, n_neighbors=n_neighbors)  # before anything is encoded
    device = str(choose_device(options.experiment(None, None)))
    items = encode_new_items(new_items, loaded.dataset, image_dir=image_dir, device=device, progress=counting)
    result = recommend_new_items(
        loaded,
        items,
        user,
        k,
        source=str(new_items),
        n_neighbors=n_neighbors,
        method=method,
        include_known=include_known,
    )
    about = {**_summary(result.embeddings), "n_neighbors": n_neighbors, "include_known": include_known}
    new_ids = frozenset(result.embeddings.items.ids) if include_known else None
    _print_lists({"run": str(run), "new_items": about}, user, result.lists, json=json, new=new_ids)
    if not json:
        _print_summary(result.embeddings)


def similar(
    run: options.RunDir,
    item: Annotated[str, typer.Option(help="Id of an item.", show_default=False)],
    k: TopK = 10,
    model: options.OwnModel = None,
    data: options.MovedData = None,
    json: options.Json = False,
) -> None:
    """Find the items that are most similar to an item.

    Example: `flatrec similar runs/first --item item-00042 -k 5`
    """
    from flatrec.api import load_run

    items = load_run(run, data, model=model).similar(item, k)
    if json:
        print_json({"run": str(run), "item": item, "similar": _plain(items)})
        return
    print_items(f"Similar to {item}", items)


def _print_lists(
    about: dict[str, Any],
    users: Sequence[str],
    lists: Sequence[Sequence[Recommendation]],
    *,
    json: bool,
    new: Collection[str] | None = None,
) -> None:
    if json:
        found = [{"user": user, "items": _plain(items)} for user, items in zip(users, lists, strict=True)]
        print_json({**about, "recommendations": found})
        return
    for user, items in zip(users, lists, strict=True):
        print_items(f"For {user}", items, new=new)


def _plain(items: Sequence[Recommendation]) -> list[dict[str, Any]]:
    return [asdict(one) | {"image": str(one.image) if one.image else None} for one in items]


def _summary(embeddings: NewItemEmbeddings) -> dict[str, Any]:
    items = embeddings.items
    return {
        "method": embeddings.method,
        "scored": len(items.ids),
        "ids": list(items.ids),
        "already_known": list(items.already_known),
        "without_features": list(items.without_features),
    }


def _print_summary(embeddings: NewItemEmbeddings) -> None:
    """Print how many items were scored by which method, and which were left out."""
    items = embeddings.items
    print_text(f"{len(items.ids)} new items scored, embedded by {options.METHODS[embeddings.method]}")
    if items.already_known:
        print_text(f"- not new, as the data set has them, and left out: {_listed(items.already_known)}")
    if items.without_features:
        print_text(f"- without any modality, so that they cannot be scored: {_listed(items.without_features)}")


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:N_SHOWN]) + (", ..." if len(ids) > N_SHOWN else "")
    return f"{len(ids)} ({shown})"
