"""flatrec who-wants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options, recommenders
from flatrec.cli.printing import print_json, print_table


def who_wants(
    run: options.RecommenderDir,
    item: Annotated[str, typer.Option(help="Id of an item, known or new.", show_default=False)],
    k: Annotated[int, typer.Option("-k", "--top-k", help="Number of users.")] = 10,
    include_seen: Annotated[
        bool | None,
        typer.Option(
            "--include-seen/--exclude-seen",
            help="Whether users who have the item may be listed; if left out, they are where evaluations list them.",
            show_default=False,
        ),
    ] = None,
    new_items: Annotated[
        Path | None,
        typer.Option(help="Folder of new items that `flatrec encode` wrote, which may hold the item."),
    ] = None,
    model: options.OwnModel = None,
    data: options.NewerData = None,
    json: options.Json = False,
) -> None:
    """Find the users who want an item most: those for whom it has the highest score.

    Example: `flatrec who-wants runs/first --item item-00042 -k 100`
    """
    recommender = recommenders.opened(run, data=data, model=model)
    if new_items is not None:
        from flatrec.data.encoded_items import read_encoded

        recommender = recommender.with_items(read_encoded(new_items), source=str(new_items))
    filter_seen = None if include_seen is None else not include_seen
    users = recommender.who_wants(item, k, filter_seen=filter_seen)
    if json:
        new = bool(recommender.catalog.new[recommender.items.index_of(item)])
        print_json({"run": str(run), "item": item, "new": new, "users": [vars(user) for user in users]})
        return
    rows = [[str(rank), one.user, one.score] for rank, one in enumerate(users, start=1)]
    print_table(f"Users for {item}", ["", "user", "score"], rows)
