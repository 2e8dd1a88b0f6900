"""flatrec reproduce."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.job_progress import JobProgress
from flatrec.cli.printing import print_json, print_report_table, print_text

if TYPE_CHECKING:
    from flatrec.research.reproduction import Row

N_TRIALS = 8


def reproduce(
    table: Annotated[
        str, typer.Argument(help="Table of the paper: table2, table4, table5, table6 or table8.")
    ] = "table2",
    row: Annotated[
        str | None,
        typer.Option(help="Row, such as baby/lightgcn/bsam+. Default: list them.", show_default=False),
    ] = None,
    data: options.Data = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, counted up from 0; with --tuned from 1.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the results and run folders.")] = Path("reproduction"),
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Tune plain training and the row's strategy by equally many trials.")
    ] = False,
    trials: Annotated[
        int | None,
        typer.Option(help=f"Number of trials of every method with --tuned. Default: {N_TRIALS}.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the experiment, or the league, as TOML; train nothing.")
    ] = False,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Train a row of the paper's tables at the paper's settings, and show it beside what the paper reports.

    The same command again trains no finished seed again. Without --row it lists the rows of the table. With --tuned it
    writes a league (`league.toml` in --out) and runs it: plain training, the row's strategy and plain training with a
    squared penalty, tuned alike.

    Example: `flatrec reproduce table2 --row baby/lightgcn/bsam+ --data data/baby --out runs/baby-lightgcn`
    """
    from flatrec.research.reproduction import find_row, rows_of

    if trials is not None and not tuned:
        raise ValueError("--trials is the number of trials of --tuned; give that too, or leave --trials out")
    if row is None:
        _list([one.name for one in rows_of(table)], json=json)
        return
    job = _Job(table, find_row(table, row), data or "", out, options.counted("--seeds", seeds), device or "auto", json)
    n_trials = N_TRIALS if trials is None else options.counted("--trials", trials)
    if dry_run:
        job.print_plan(n_trials if tuned else None)
    elif data is None:
        raise ValueError(f"--data must be the path of {job.row.dataset}, but is not given; or give --dry-run")
    elif tuned:
        job.run_tuned(n_trials)
    elif table == "table4":
        job.run_noise()
    else:
        job.run()


def _list(names: list[str], *, json: bool) -> None:
    if json:
        print_json({"rows": names})
        return
    for name in names:
        print_text(name)


@dataclass(frozen=True)
class _Job:
    """A row with what the options say of it."""

    table: str
    row: Row
    data: str
    out: Path
    n_seeds: int
    device: str
    json: bool

    def print_plan(self, n_trials: int | None) -> None:
        """Print the experiment; the league, if there are trials."""
        from flatrec import config
        from flatrec.api import load_to_train
        from flatrec.research.league.write import league_text
        from flatrec.research.reproduction import paper_experiment, tuned_league
        from flatrec.research.reproduction.tuned_league import check_tunable

        given = bool(self.data) and load_to_train(self.data).split_report.given
        if n_trials is None:
            print_text(config.write(paper_experiment(self.row, self.data, given_split=given)))
            return
        check_tunable(self.table)
        league = tuned_league(
            self.row,
            self.data or self.row.dataset,
            given_split=given,
            n_trials=n_trials,
            n_seeds=self.n_seeds,
            device=self.device,
        )
        print_text(league_text(league))

    def run(self) -> None:
        """Train the row at the paper's settings."""
        from flatrec.cli.progress import ProgressBar
        from flatrec.research.reproduction import reproduce

        result = reproduce(
            self.table,
            self.row,
            self.data,
            self.out,
            seeds=range(self.n_seeds),
            device=self.device,
            callbacks=lambda seed: [ProgressBar(f"{self.row.name} seed {seed}")],
        )
        if self.json:
            print_json(result.as_dict())
            return
        print_report_table(result.as_table())
        print_text(f"The reproduction is in {self.out / 'reproduction.json'} and {self.out / 'reproduction.md'}")

    def run_tuned(self, n_trials: int) -> None:
        """Run the league of the row."""
        from flatrec.research.reproduction import reproduce_tuned

        with JobProgress(f"league of {self.row.name}") as progress:
            result = reproduce_tuned(
                self.table,
                self.row,
                self.data,
                self.out,
                n_trials=n_trials,
                n_seeds=self.n_seeds,
                device=self.device,
                callback=progress,
            )
        if self.json:
            print_json(result.as_dict())
            return
        for table in result.as_tables():
            print_report_table(table)
        for name, error in result.failures:
            print_text(f"failed: {name}: {error}")
        print_text(
            f"The results are in {self.out / 'tuned.json'} and {self.out / 'tuned.md'}, the league in "
            f"{self.out / 'league.toml'}; after a change to it, flatrec league runs it"
        )

    def run_noise(self) -> None:
        """Run the noise study of the row."""
        from flatrec.research.reproduction import reproduce_noise

        seeds = tuple(range(self.n_seeds))
        with JobProgress(f"noise study of {self.row.name}") as progress:
            result = reproduce_noise(self.row, self.data, self.out, seeds=seeds, device=self.device, callback=progress)
        if self.json:
            print_json(result.as_dict())
            return
        print_report_table(result.as_table())
        for run, error in result.failures:
            print_text(f"failed: {run}: {error}")
        print_text(
            f"The reproduction is in {self.out / 'reproduction.json'} and {self.out / 'reproduction.md'}; "
            f"flatrec report {self.out} --out report.html makes a page of the study"
        )
