"""flatrec recommender info, flatrec recommender forget, flatrec recommender index."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.recommender_index import build_index
from flatrec.utils.messages import count, quoted

if TYPE_CHECKING:
    from flatrec.event_log import LogPlace
    from flatrec.inference.recommender import Recommender

app = typer.Typer(
    help="Show what a trained recommender holds, remove users from it, or index its items.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.command("index")(build_index)
Folder = Annotated[Path, typer.Argument(help="Folder of a run, or of a recommender.", show_default=False)]


@dataclass(frozen=True)
class Forgotten:
    """What a command removed, and where.

    Args:
        users: ids that the recommender knew, and knows no more.
        unknown: ids that it did not know.
        exports: number of rows that were removed, by file.
        table: number of rows that were removed from the table; None if none was named.
        events: number of events that were removed from the log; None if none was named.
    """

    users: tuple[str, ...]
    unknown: tuple[str, ...]
    exports: dict[str, int]
    table: int | None
    events: int | None


@dataclass(frozen=True)
class Places:
    """Where users are removed beside the recommender.

    Args:
        exports: files and folders.
        table: the URL of a database and the name of its table.
        log: the log of events.
    """

    exports: tuple[Path, ...] = ()
    table: tuple[str | None, str | None] = (None, None)
    log: LogPlace | None = None


@app.command()
def info(run: Folder, json: options.Json = False) -> None:
    """Show what the folder of a recommender holds; every file is compared with its digest.

    Example: `flatrec recommender info runs/first`
    """
    from flatrec.inference.storage import load_recommender, recommender_folder

    folder = recommender_folder(run)
    found = _described(load_recommender(run), folder)
    if json:
        print_json(found)
        return
    rows = [[name.replace("_", " "), _shown(value)] for name, value in found.items() if name != "files"]
    print_table(str(folder), ["", ""], rows)
    print_table("Files", ["file", "bytes"], [[name, size] for name, size in found["files"].items()])


def _shown(value: object) -> str:
    """Return a value as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _described(recommender: Recommender, folder: Path) -> dict[str, Any]:
    from flatrec.models.perceptron import ProductPerceptron
    from flatrec.models.scoring import Vectors

    scoring, facts = recommender.scoring, recommender.facts
    return {
        "model": facts.model,
        "strategy": facts.strategy,
        "data": facts.data,
        "run": facts.run,
        "scores": type(scoring).__name__,
        "dim": int(scoring.items.shape[1]) if isinstance(scoring, (Vectors, ProductPerceptron)) else None,
        "users": len(recommender.users),
        "forgotten_users": len(facts.forgotten),
        "left_out_users": facts.left_out_users,
        "items": len(recommender.items),
        "new_items": int(recommender.catalog.new.sum()),
        "interactions": int(recommender.seen.nnz),
        "training_interactions": int(recommender.history.nnz),
        "filter_seen": recommender.filter_seen,
        "columns": [name for name in recommender.catalog.frame.columns if name != "new"],
        "features": sorted(recommender.catalog.features),
        "index": None if recommender.index is None else recommender.index.facts.model_dump(),
        "files": {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()},
    }


@app.command()
def forget(
    run: Folder,
    user: Annotated[list[str], typer.Option(help="Id of a user; repeatable.", show_default=False)],
    export: Annotated[
        list[Path] | None,
        typer.Option(
            help="File that `flatrec export` wrote, with all of its shards, or a folder of vectors; repeatable.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database with exported lists, by its SQLAlchemy URL.", show_default=False),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Table of the database.", show_default=False)] = None,
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="SQLite file of the log of events of flatrec serve.", show_default=False),
    ] = None,
    events_url_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Environment variable with the postgresql:// URL of that log.", show_default=False
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Remove users from a recommender: ids, vectors, histories and seen items; and their rows from exports and a log.

    Example: `flatrec recommender forget runs/first --user user-00007 --export recs.parquet`
    """
    from flatrec.event_log import LogPlace
    from flatrec.inference.storage import load_recommender, recommender_folder
    from flatrec.runs import run_dir
    from flatrec.utils.locks import lock_folder

    if (to is None) != (table is None):
        raise ValueError("rows of a table are named by --to URL and --table NAME; give both or neither")
    log = None if events is None and events_url_env is None else LogPlace(events, events_url_env)
    places = Places(tuple(export or ()), (to, table), log)
    folder = recommender_folder(run).resolve()  # a link, such as `current`, stays, and what it names is written
    with ExitStack() as stack:
        if run_dir.has_run(folder.parent):
            stack.enter_context(lock_folder(folder.parent, "changes"))
        done = _forget(load_recommender(run), folder, user, places)
    untouched = _untouched(folder)
    if json:
        print_json({"recommender": str(folder), **vars(done), "untouched": untouched})
        return
    _print_forgotten(done, folder, untouched)


def _forget(recommender: Recommender, folder: Path, users: list[str], places: Places) -> Forgotten:
    """Remove users from exports, table and log first, so that a command that failed can be given again."""
    from flatrec.inference.export.forget import forget_in_export
    from flatrec.inference.storage import save_recommender

    unknown = [user for user in users if user not in recommender.users]
    if unknown and places == Places():
        recommender.users.index_of(unknown[0])  # says which ids are similar
    removed = {str(one.file): one.rows for export in places.exports for one in forget_in_export(export, users)}
    rows = None
    url, table = places.table
    if url is not None and table is not None:
        from flatrec.inference.export.database import delete_users

        rows = delete_users(url, table, users)
    n_events = None if places.log is None else _forget_in_log(places.log, users)
    known = tuple(user for user in dict.fromkeys(users) if user in recommender.users)
    if known:
        save_recommender(recommender.without_users(known), folder)
    return Forgotten(known, tuple(unknown), removed, rows, n_events)


def _forget_in_log(place: LogPlace, users: list[str]) -> int:
    """Remove the events of users from a log, and return how many."""
    log = place.open()
    try:
        return log.forget(users)
    finally:
        log.close()


def _untouched(folder: Path) -> list[str]:
    """Return what still holds the users, as far as it is known."""
    from flatrec.inference.storage import FOLDER
    from flatrec.runs import run_dir

    run = folder.parent
    if folder.name != FOLDER or not run_dir.has_run(run):
        return ["the run that made the recommender, and its data"]
    data = run_dir.read_experiment(run).data or "the data in memory that the run was made from"
    checkpoints = sorted(str(path) for path in run.rglob("*.safetensors") if folder not in path.parents)
    return [*checkpoints, *_other_generations(run), data]


def _other_generations(run: Path) -> list[str]:
    """Return the other runs of a nightly job's folder, whose recommenders hold the users as well."""
    from flatrec.refresh.store import CANDIDATE, FINAL, GENERATIONS

    generations = run.parent.parent
    if generations.name != GENERATIONS:
        return []
    runs = sorted(path for name in (CANDIDATE, FINAL) for path in generations.glob(f"*/{name}"))
    return [str(path) for path in runs if path != run]


def _print_forgotten(done: Forgotten, folder: Path, untouched: list[str]) -> None:
    if done.users:
        print_text(f"{count(len(done.users), 'user')} removed from {folder}: id, vector, history and seen items")
    if done.unknown:
        print_text(f"not in {folder}: {quoted(done.unknown)}")
    for file, rows in done.exports.items():
        print_text(f"{count(rows, 'row')} removed from {file}")
    if done.table is not None:
        print_text(f"{count(done.table, 'row')} removed from the table")
    if done.events is not None:
        print_text(f"{count(done.events, 'event')} removed from the log")
    print_text(
        f"not touched, and may still hold what was removed: {', '.join(untouched)}; exports, tables and logs of events "
        "that were not named; copies and backups. Remove the users from the data and train again (flatrec train "
        "--overwrite): a run on data that still have them learns them again"
    )
