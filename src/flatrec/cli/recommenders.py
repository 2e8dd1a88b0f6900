"""The recommender that a command asks, and the options of its requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flatrec.inference.recommender import Recommender

Users = Annotated[list[str] | None, typer.Option("--user", help="Id of a user; repeatable.", show_default=False)]
History = Annotated[
    str | None,
    typer.Option(
        help="Item ids, separated by commas, or @FILE with one id per line: what a user who was not trained on has.",
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        help="Condition on item columns, such as `in_stock = true and price < 30`.",
        show_default=False,
        metavar="CONDITION",
    ),
]
Items = Annotated[
    str | None,
    typer.Option(
        help="The only items that may be listed: ids separated by commas, or @FILE with one id per line.",
        show_default=False,
    ),
]
Exclude = Annotated[
    str | None,
    typer.Option(
        help="Items that may not be listed: ids separated by commas, or @FILE with one id per line.", show_default=False
    ),
]
Seen = Annotated[
    bool | None,
    typer.Option(
        "--include-seen/--exclude-seen",
        help="Whether items that the user has an interaction with may be listed; as the run was evaluated if left out.",
        show_default=False,
    ),
]


def opened(run: Path, *, data: str | None = None, model: str | None = None) -> Recommender:
    """Return the recommender in a folder: that which was saved, or one that is made of the run.

    Args:
        run: the folder of a run or of a recommender.
        data: where the data of the run are now; used only if no recommender was saved.
        model: the model's class, if it is one of the user's own; used only if no recommender was saved.

    Raises:
        FileNotFoundError: there is neither a recommender nor a run.
        ValueError: the folder is damaged.
    """
    from flatrec.inference.storage import has_recommender, load_recommender

    if has_recommender(run):
        return load_recommender(run)
    from flatrec.api import load_run

    return load_run(run, data, model=model).recommender


def ids(text: str | None, option: str) -> list[str] | None:
    """Return the ids of an option: separated by commas, or the lines of a file whose name follows an ``@``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no id.
    """
    if text is None:
        return None
    lines = Path(text[1:]).read_text(encoding="utf-8").splitlines() if text.startswith("@") else text.split(",")
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ValueError(f"{option} names no item; give ids separated by commas, or @FILE with one id per line")
    return found
