"""flatrec league."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.progress import print_progress


def league(
    file: Annotated[Path, typer.Argument(help="TOML file that describes the league.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for records and runs in progress.", show_default=False),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Path of a data set, by its name in the file's table data; repeatable.",
            show_default=False,
        ),
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(help="Names of the cells to run, separated by commas. Default: all.", show_default=False),
    ] = None,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="Keep run folders after their runs are recorded.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", help="Number of runs trained at the same time; on a cluster, -1 means one per core."),
    ] = 1,
    backend: options.Backend = "local",
    address: options.ClusterAddress = None,
) -> None:
    """Tune methods by equally many trials, and record them and their finals on fresh seeds.

    Finished trials and finals are recorded in --out, and the same command goes on from there, on any machine.

    Example: `flatrec league experiments/league/first-season.toml --out experiments/league/first-season`
    """
    from flatrec.research import Workers
    from flatrec.research.league import read_league, run_league

    described = read_league(file, dict(map(_named_path, data or ())))
    workers = Workers(jobs, backend, address)
    run_league(described, out, workers=workers, keep_runs=keep_runs, cells=options.names(cells), on_run=_report)


def _named_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ValueError(f"--data takes NAME=PATH, such as baby=data/baby, but got {text!r}")
    return name, path


def _report(name: str, error: str | None, n_left: int) -> None:
    print_progress(f"{name} {'finished' if error is None else f'failed: {error}'} ({n_left} left)")
