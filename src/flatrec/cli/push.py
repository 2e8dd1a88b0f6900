"""flatrec push."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.utils.messages import count, shortlist

if TYPE_CHECKING:
    from flatrec.hub import Pushed


def push(
    source: Annotated[
        Path, typer.Argument(help="Folder of a run or of a recommender; or data, as for --data.", show_default=False)
    ],
    repository: Annotated[str, typer.Argument(help="Name of the repository, as user/name.", show_default=False)],
    license: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option(help="License for the card, as the Hub calls it: mit, cc-by-4.0, other ...", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of the data set's repository on the Hub, for the card.", show_default=False),
    ] = None,
    include_users: Annotated[
        bool, typer.Option("--include-users", help="Publish users too: ids, vectors, histories and seen items.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository public; needed for one that is public already.")
    ] = False,
    message: Annotated[str, typer.Option(help="First line of the commit.")] = "Publish by flatrec",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files and the card; send nothing, and ask for no token.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Publish a recommender or a data set on the Hugging Face Hub, private and without users unless told otherwise.

    The token is read from the environment variable HF_TOKEN alone.

    Example: `flatrec push runs/first me/my-shop --license mit`
    """
    from flatrec.hub import PushOptions
    from flatrec.hub import push as publish

    chosen = PushOptions(license, dataset, include_users, public, message, dry_run)
    pushed = publish(source, repository, chosen)
    if json:
        print_json(asdict(pushed))
        return
    if dry_run:
        print_table("Files that would be sent", ["file", "bytes"], [list(pair) for pair in pushed.files.items()])
    _print_pushed(pushed, dry_run=dry_run)
    if dry_run:
        print_text("")
        print_text(pushed.card)


def _print_pushed(pushed: Pushed, *, dry_run: bool) -> None:
    visibility = "public" if pushed.public else "private"
    if dry_run:
        print_text(f"nothing was sent; the repository would be {visibility}: {pushed.url}")
    elif pushed.commit:
        print_text(f"{pushed.url} ({visibility}), commit {pushed.commit}")
        for what, names in (("added", pushed.added), ("changed", pushed.changed), ("removed", pushed.removed)):
            if names:
                print_text(f"- {what}: {shortlist(names, 20)}")
    else:
        print_text(f"{pushed.url} ({visibility}) holds the same files already; nothing was sent")
    if pushed.left_out_users:
        print_text(f"- {count(pushed.left_out_users, 'user')} left out: ids, vectors, histories and seen items")
    else:
        print_text(f"- {count(pushed.users, 'user')} included: ids and what they did")
    if pushed.held_users:
        print_text("- an earlier commit has users, which stay there; delete the repository to be rid of them")
    for sentence in pushed.left_out:
        print_text(f"- not included: {sentence}")
