"""flatrec league."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.job_progress import JobProgress
from flatrec.cli.messages import print_progress
from flatrec.cli.printing import print_text

if TYPE_CHECKING:
    from flatrec.research.league import Finished, League
    from flatrec.research.league.results import SeasonResults

RUNS_FAILED = 1  # exit code


def league(
    file: Annotated[Path, typer.Argument(help="TOML file that describes the league.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for records, reports and runs in progress.", show_default=False),
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
    report_only: Annotated[
        bool,
        typer.Option("--report-only", help="Write the reports from the records alone, which needs no data."),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", help="Number of runs trained at the same time; on a cluster, -1 means one per core."),
    ] = 1,
    backend: options.Backend = "local",
    address: options.ClusterAddress = None,
) -> None:
    """Tune methods by equally many trials, and record them and their finals on fresh seeds.

    Finished trials and finals are recorded in --out, and the same command goes on from there, on any machine. The
    reports league.html, league.md and league.json are written at the end. The exit code is 1 if a run failed.

    Example: `flatrec league experiments/league/first-season.toml --out experiments/league/first-season`
    """
    from flatrec.research import Workers
    from flatrec.research.league import read_league, run_league
    from flatrec.research.league.report import with_other_cells, write_reports
    from flatrec.utils.optional import require_extra

    for package in ("jinja2", "matplotlib"):
        require_extra(package, "plots")  # before anything is trained
    described = read_league(file, dict(map(_named_path, data or ())))
    names = options.names(cells)
    if report_only:
        finished = _recorded(described, out, names)
    else:
        workers = Workers(jobs, backend, address)
        with JobProgress("league", jobs) as progress:
            finished = run_league(described, out, workers=workers, keep_runs=keep_runs, cells=names, callback=progress)
        finished = with_other_cells(described, finished, out, names)
    _show(write_reports(described, finished, out), out)
    if finished.failures:
        count = len(finished.failures)
        print_progress(f"{count} run{'s' if count > 1 else ''} failed; the same command tries again")
        raise typer.Exit(RUNS_FAILED)


def _recorded(league: League, out: Path, cells: Sequence[str]) -> Finished:
    from flatrec.research.league import read_season

    if cells:
        raise ValueError("--report-only reports all cells, whatever is recorded of them; leave out --cells")
    if not out.is_dir():
        raise FileNotFoundError(f"there is no folder {out} with the records of a league; run it first")
    return read_season(league, out)


def _show(season: SeasonResults, out: Path) -> None:
    from flatrec.research.league.report import JSON, MARKDOWN, PAGE
    from flatrec.research.league.verdict_table import verdict_line

    for verdict in season.verdicts:
        print_text(verdict_line(verdict))
    print_text(f"The report is in {out / PAGE}, {out / MARKDOWN} and {out / JSON}")


def _named_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ValueError(f"--data takes NAME=PATH, such as baby=data/baby, but got {text!r}")
    return name, path
