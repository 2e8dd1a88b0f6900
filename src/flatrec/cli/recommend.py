"""flatrec recommend, flatrec similar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options, recommenders
from flatrec.cli.items import ImageDir
from flatrec.cli.printing import print_items, print_json, print_text

if TYPE_CHECKING:
    from flatrec.inference.answers import ItemList, Recommendation
    from flatrec.inference.candidates import Filters
    from flatrec.inference.joining import JoinedItems
    from flatrec.inference.recommender import Recommender
    from flatrec.inference.rerank import Rerank

TopK = Annotated[int, typer.Option("-k", "--top-k", help="Number of items in a list.")]
NewItems = Annotated[
    Path | None,
    typer.Option(help="Table of items that were not trained on, or a folder of them that `flatrec encode` wrote."),
]
IncludeKnown = Annotated[
    bool, typer.Option("--include-known", help="With --new-items: list known items as well as new ones.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Name the user's own items that contributed most to each score.")
]
N_SHOWN = 10  # ids that a note names


@recommenders.with_request
def recommend(
    run: options.RecommenderDir,
    filters: Filters,
    rerank: Rerank | None,
    user: recommenders.Users = None,
    group: recommenders.GroupIds = None,
    k: TopK = 10,
    history: recommenders.History = None,
    explain: Explain = False,
    new_items: NewItems = None,
    include_known: IncludeKnown = False,
    n_neighbors: options.NNeighbors = None,
    method: options.Method = None,
    image_dir: ImageDir = None,
    model: options.OwnModel = None,
    data: options.NewerData = None,
    json: options.Json = False,
) -> None:
    """Recommend the items that a user is most likely to want.

    Example: `flatrec recommend runs/first --user user-00007 -k 5`
    """
    from flatrec.inference.groups import check_groups

    if new_items is None and (include_known or n_neighbors or method or image_dir):
        raise ValueError(
            "--include-known, --n-neighbors, --method and --image-dir are about new items; give --new-items too"
        )
    if not user and not group and history is None:
        raise ValueError("nobody to recommend to; give --user ID, or --history ID,ID,... of somebody without an id")
    asked = [*(user or ()), *(group or ())]
    request = Request(asked, k, filters, recommenders.ids(history, "--history"), rerank, explain)
    if new_items is not None and group:
        raise ValueError("--new-items is for users; name groups with --user there")
    if new_items is not None:
        _recommend_new_items(run, request, new_items, include_known, n_neighbors, method, image_dir, model, data, json)
        return
    recommender = recommenders.opened(run, data=data, model=model)
    check_groups(recommender, group or ())
    lists = request.lists(recommender)
    _print_lists({"run": str(run)}, lists, json=json)


@dataclass(frozen=True)
class Request:
    """What is asked of a recommender, whichever items it has.

    Args:
        users: original ids; None for somebody without one.
        k: length of a list.
        filters: which items may be recommended.
        history: items of users who were not trained on.
        rerank: what else the lists should be like.
        explain: whether each item names the user's own items that contributed most.
    """

    users: Sequence[str] | None
    k: int
    filters: Filters
    history: Sequence[str] | None
    rerank: Rerank | None
    explain: bool

    def lists(self, recommender: Recommender) -> list[ItemList]:
        """Return what a recommender answers."""
        return recommender.recommend(
            self.users or None,
            self.k,
            filter_seen=self.filters.filter_seen,
            items=self.filters.items,
            exclude=self.filters.exclude,
            where=self.filters.where,
            history=self.history,
            rerank=self.rerank,
            explain=self.explain,
        )

    def among(self, items: Sequence[str]) -> Request:
        """Return the same request for some of the items only."""
        listed = set(items if self.filters.items is None else self.filters.items)
        return replace(self, filters=replace(self.filters, items=[item for item in items if item in listed]))


def _recommend_new_items(
    run: Path,
    request: Request,
    new_items: Path,
    include_known: bool,
    n_neighbors: int | None,
    method: str | None,
    image_dir: Path | None,
    model: str | None,
    data: str | None,
    json: bool,
) -> None:
    from flatrec.api import load_run
    from flatrec.cli.progress import counting
    from flatrec.content import encode_new_items, read_new_item_table
    from flatrec.inference.cold_start import check_supported, join_new_items
    from flatrec.inference.item_details import details_of
    from flatrec.inference.joining import ItemDetails
    from flatrec.runs.session import choose_device

    loaded = load_run(run, data, model=model)
    n_neighbors = options.N_NEIGHBORS if n_neighbors is None else n_neighbors
    check_supported(loaded, method=method, n_neighbors=n_neighbors)  # before anything is encoded
    device = str(choose_device(options.experiment(None, None)))
    items = encode_new_items(new_items, loaded.dataset, image_dir=image_dir, device=device, progress=counting)
    for user in request.users or () if request.history is None else ():
        loaded.dataset.users.index_of(user)  # who is not known has no embedding, and new items have no popularity
    table = read_new_item_table(new_items, loaded.dataset)
    catalog = loaded.recommender.catalog
    details = ItemDetails() if table is None else details_of(table, items.ids, catalog)
    joined = join_new_items(loaded, items, details, source=str(new_items), n_neighbors=n_neighbors, method=method)
    lists = (request if include_known else request.among(joined.items.ids)).lists(joined.recommender)
    if not include_known:
        lists = [replace(answer, path="cold-item") for answer in lists]
    about = {**_summary(joined), "n_neighbors": n_neighbors, "include_known": include_known}
    _print_lists({"run": str(run), "new_items": about}, lists, json=json)
    if not json:
        _print_summary(joined)


def similar(
    run: options.RecommenderDir,
    item: Annotated[str, typer.Option(help="Id of an item.", show_default=False)],
    k: TopK = 10,
    where: recommenders.Where = None,
    model: options.OwnModel = None,
    data: options.NewerData = None,
    json: options.Json = False,
) -> None:
    """Find the items that are most similar to an item.

    Example: `flatrec similar runs/first --item item-00042 -k 5`
    """
    found = recommenders.opened(run, data=data, model=model).similar(item, k, where=where)[0]
    if json:
        print_json({"run": str(run), "item": item, "path": found.path, "note": found.note, "similar": _plain(found)})
        return
    print_items(f"Similar to {item}", found)
    if found.note:
        print_text(found.note)


def _print_lists(about: dict[str, Any], lists: Sequence[ItemList], *, json: bool) -> None:
    if json:
        found = [
            {"user": answer.user, "path": answer.path, "note": answer.note, "items": _plain(answer)} for answer in lists
        ]
        print_json({**about, "recommendations": found})
        return
    for answer in lists:
        print_items(f"For {answer.user or 'the history'} ({answer.path})", answer)
        if answer.note:
            print_text(answer.note)


def _plain(items: Sequence[Recommendation]) -> list[dict[str, Any]]:
    return [asdict(one) | {"image": str(one.image) if one.image else None} for one in items]


def _summary(joined: JoinedItems) -> dict[str, Any]:
    items = joined.items
    return {
        "method": joined.method,
        "scale": joined.calibration.scale,
        "scored": len(items.ids),
        "ids": list(items.ids),
        "already_known": list(items.already_known),
        "without_features": list(items.without_features),
    }


def _print_summary(joined: JoinedItems) -> None:
    """Print how many items were scored by which method, and which were left out."""
    items = joined.items
    print_text(f"{len(items.ids)} new items scored, embedded by {options.METHODS[joined.method]}")
    if items.already_known:
        print_text(f"- not new, as the data set has them, and left out: {_listed(items.already_known)}")
    if items.without_features:
        print_text(f"- without any modality, so that they cannot be scored: {_listed(items.without_features)}")


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:N_SHOWN]) + (", ..." if len(ids) > N_SHOWN else "")
    return f"{len(ids)} ({shown})"
