"""flatrec refresh: the nightly job."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text

if TYPE_CHECKING:
    from flatrec.refresh import RefreshSettings, State
    from flatrec.training import Callback

KEPT = 3  # the exit code where the recommender in use stays


def refresh(
    file: Annotated[Path, typer.Argument(help="TOML file of the job.", show_default=False)],
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept this delivery of the data whatever the checks say.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the data only; write nothing.")] = False,
    json: options.Json = False,
) -> int:
    """Check new data, train on them, and put the new recommender into use if it is good enough: a nightly job.

    The exit code is 0 if the new recommender was promoted, 3 if the former one was kept, and 1 or 2 after an error; the
    former one then answers as before. A run that was killed goes on where it stopped when it is started again.

    Example: `flatrec refresh shop.toml`
    """
    from flatrec.refresh import read_settings
    from flatrec.refresh import refresh as refresh_recommender

    settings = read_settings(file)
    if dry_run:
        _preview(settings, json=json)
        return 0
    state = refresh_recommender(settings, accept=accept, callbacks=_callbacks)
    if json:
        print_json({**state.as_line(), "folder": str(settings.folder)})
    else:
        _print(state, settings.folder)
    return 0 if state.outcome == "promoted" else KEPT


def _preview(settings: RefreshSettings, *, json: bool) -> None:
    """Print what the checks say of a delivery.

    Raises:
        RefusedError: the delivery breaks a bound.
    """
    from flatrec.refresh import RefusedError, preview

    found = preview(settings)
    checks = [check.as_dict() for check in found.checks]
    if json:
        print_json({"delivery": found.delivery.as_dict(), "checks": checks, "refused": bool(found.refusal)})
    else:
        delivery = found.delivery
        _print_checks(checks)
        print_text(
            f"{delivery.name}: {delivery.interactions} interactions, {delivery.users} users, {delivery.items} items; "
            "nothing was trained or written"
        )
    if found.refusal:
        raise RefusedError(found.refusal)


def _print(state: State, folder: Path) -> None:
    _print_checks(state.checks)
    if state.comparison is not None:
        values = state.comparison["values"]
        metrics = list(next(iter(values.values())))
        rows = [[name, *(row[metric] for metric in metrics)] for name, row in values.items()]
        print_table("newest days", ["", *metrics], rows)
    word = "promoted" if state.outcome == "promoted" else "the recommender in use stays"
    print_text(f"generation {state.number}: {word}; {state.reason}")
    print_text(f"The report is {folder / 'latest.html'}")


def _print_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    rows = [[check["about"], check["found"], check["allowed"], "yes" if check["passed"] else "no"] for check in checks]
    print_table("checks", ["", "found", "allowed", "passed"], rows)


def _callbacks(title: str) -> Sequence[Callback]:
    """Return a progress bar for somebody who looks on; a job of cron has nothing to say."""
    from flatrec.cli.progress import ProgressBar

    return [ProgressBar(title)] if sys.stderr.isatty() else []
