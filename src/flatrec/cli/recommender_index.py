"""flatrec recommender index."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_text

MIN_ITEMS, MIN_RECALL = 200_000, 0.99


def build_index(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a recommender.", show_default=False)],
    min_items: Annotated[int, typer.Option(help="Number of items below which no index is built.")] = MIN_ITEMS,
    min_recall: Annotated[
        float, typer.Option(help="Least fraction of the items of exact lists that the index must find.")
    ] = MIN_RECALL,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the index instead, so that all lists are exact again.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Build an approximate index of the items of a large catalog, and measure how much of exact lists it finds.

    Example: `flatrec recommender index runs/first --min-recall 0.995`
    """
    from flatrec.inference.ann import IndexSettings
    from flatrec.inference.storage import load_recommender, recommender_folder, save_recommender
    from flatrec.runs import run_dir
    from flatrec.utils.locks import lock_folder

    folder = recommender_folder(run)
    with ExitStack() as stack:
        if run_dir.has_run(folder.parent):
            stack.enter_context(lock_folder(folder.parent, "changes"))
        recommender = load_recommender(folder, index=False)
        if not remove:
            recommender = recommender.with_index(IndexSettings(min_items=min_items, min_recall=min_recall))
        save_recommender(recommender, folder)
    facts = None if recommender.index is None else recommender.index.facts
    if json:
        print_json({"recommender": str(folder), "index": None if facts is None else facts.model_dump()})
    elif facts is None:
        print_text(f"{folder} has no index: its lists are exact")
    else:
        print_text(
            f"index of {facts.n_items} items written to {folder}: it finds {facts.recall:.4f} of the {facts.k} best "
            f"items of exact lists, measured for {facts.n_users} users, at search width {facts.search_width}"
        )
