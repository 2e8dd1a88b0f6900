"""The recommender that a command asks, and the options of requests that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from flatrec.cli import options
from flatrec.cli.groups import Command, group_of, with_groups
from flatrec.utils.messages import clipped

if TYPE_CHECKING:
    from flatrec.inference.candidates import Filters
    from flatrec.inference.recommender import Recommender
    from flatrec.inference.rerank import Rerank

Ids = TypeVar("Ids")
Users = Annotated[list[str] | None, typer.Option("--user", help="Id of a user; repeatable.", show_default=False)]
GroupIds = Annotated[
    list[str] | None, typer.Option("--group", help="Id of a group of users; repeatable.", show_default=False)
]
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


def with_request(command: Command) -> Command:
    """Give a command the options of filters and of re-ranking in the place of ``filters`` and ``rerank``."""
    return with_groups(command, {"filters": group_of(_filters), "rerank": group_of(_rerank)})


def _filters(
    where: Where = None,
    items: Annotated[
        str | None,
        typer.Option(
            help="The only items that may be listed: ids separated by commas, or @FILE, one id per line or a table.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        str | None,
        typer.Option(
            help="Items that may not be listed: ids separated by commas, or @FILE; a table may have a column of users.",
            show_default=False,
        ),
    ] = None,
    include_seen: Annotated[
        bool | None,
        typer.Option(
            "--include-seen/--exclude-seen",
            help="Whether items that the user has may be listed; if left out, they are where evaluations list them.",
            show_default=False,
        ),
    ] = None,
) -> Filters:
    from flatrec.data.id_lists import read_item_lists
    from flatrec.inference.candidates import Filters

    return Filters(
        filter_seen=None if include_seen is None else not include_seen,
        items=ids(items, "--items"),
        exclude=_listed("--exclude", exclude, read_item_lists),
        where=where,
    )


def _rerank(
    diversity: Annotated[
        float | None,
        typer.Option(
            help="Weight, from 0 to 1, of being unlike the items above (maximal marginal relevance).",
            show_default=False,
        ),
    ] = None,
    max_per: Annotated[
        list[str] | None,
        typer.Option(
            help="Largest number of items with the same value of a column, such as category=2; repeatable.",
            metavar="COLUMN=N",
            show_default=False,
        ),
    ] = None,
    reserve: Annotated[
        list[str] | None,
        typer.Option(
            help="Least number of items that fulfill a condition, such as '2:new = true'; repeatable.",
            metavar="N:CONDITION",
            show_default=False,
        ),
    ] = None,
    boost: Annotated[
        list[str] | None,
        typer.Option(
            help="What is added to the scores of items that fulfill a condition, in standard deviations of the user's "
            "scores, such as '0.5:price < 20'; repeatable.",
            metavar="STRENGTH:CONDITION",
            show_default=False,
        ),
    ] = None,
    pin: Annotated[
        list[str] | None, typer.Option(help="Id of an item that comes on top; repeatable.", show_default=False)
    ] = None,
) -> Rerank | None:
    from flatrec.inference.rerank import Rerank

    if diversity is None and not (max_per or reserve or boost or pin):
        return None
    numbers: dict[str, Any] = {
        "max_per": {name: count for count, name in _numbered("--max-per", max_per, "=", "COLUMN=N", first=False)},
        "reserve": {name: count for count, name in _numbered("--reserve", reserve, ":", "N:CONDITION")},
        "boosts": {name: count for count, name in _numbered("--boost", boost, ":", "STRENGTH:CONDITION")},
    }
    return Rerank(diversity=diversity or 0.0, pins=tuple(pin or ()), **numbers)


def _numbered(
    option: str, texts: Sequence[str] | None, separator: str, form: str, *, first: bool = True
) -> list[tuple[int | float, str]]:
    """Return the number and the rest of each value of an option.

    Raises:
        ValueError: a value has another form.
    """
    found = []
    for text in texts or ():
        before, _, after = text.partition(separator) if first else text.rpartition(separator)
        number, rest = (before, after) if first else (after, before)
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"{option} must have the form {form}, but is {text!r}") from None
        found.append((int(value) if value.is_integer() else value, rest.strip()))
    return found


def opened(run: Path, *, data: str | None = None, model: str | None = None) -> Recommender:
    """Return the recommender in a folder: that which was saved, or one that is made of the run.

    Args:
        run: the folder of a run or of a recommender.
        data: newer data of the same shop, whose interactions count as seen, or as the history of users who were not
            trained on; if no recommender was saved, where the data of the run are now.
        model: the model's class, if it is one of the user's own; used only if no recommender was saved.

    Raises:
        FileNotFoundError: there is neither a recommender nor a run.
        ValueError: the folder is damaged.
    """
    from flatrec.inference.storage import has_recommender, load_recommender, recommender_folder

    if has_recommender(run):
        from flatrec.cli.changed_data import with_newer

        recommender = load_recommender(run)
        return recommender if data is None else with_newer(recommender, data)
    from flatrec.api import load_run
    from flatrec.runs import run_dir

    if not run_dir.has_run(run):
        recommender_folder(run)  # says what is expected there
    return load_run(run, data, model=model).recommender


def ids(text: str | None, option: str) -> tuple[str, ...] | None:
    """Return the ids of items that an option lists, or that are in the file whose name follows an ``@``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no id, or the file is malformed.
    """
    from flatrec.data.id_lists import read_ids

    return _listed(option, text, lambda file: read_ids(file, "item"))


def _listed(option: str, text: str | None, read: Callable[[Path], Ids]) -> Ids | tuple[str, ...] | None:
    if text is None:
        return None
    if text.startswith("@"):
        return read(Path(text[1:]))
    if Path(text).is_file():
        raise ValueError(f"{option} lists ids, but {clipped(text)} is a file; write {option} @{clipped(text)}")
    listed = options.names(text)
    if not listed:
        raise ValueError(f"{option} names no item; give ids separated by commas, or @FILE")
    return listed
