"""flatrec reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_report_table, print_text

if TYPE_CHECKING:
    from flatrec.research.reproduction import Row


def reproduce(
    table: Annotated[str, typer.Argument(help="Table of the paper: table2, table5, table6 or table8.")] = "table2",
    row: Annotated[
        str | None,
        typer.Option(help="Row, such as baby/lightgcn/bsam+. Default: list them.", show_default=False),
    ] = None,
    data: options.Data = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, counted up from 0.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the results and run folders.")] = Path("reproduction"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the experiment as TOML; train nothing.")] = False,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Train a row of the paper's tables at the paper's settings, and show it beside what the paper reports.

    The same command again trains no finished seed again. Without --row it lists the rows of the table.

    Example: `flatrec reproduce table2 --row baby/lightgcn/bsam+ --data data/baby --out runs/baby-lightgcn`
    """
    from flatrec.cli.progress import ProgressBar
    from flatrec.research.reproduction import find_row, reproduce, rows_of

    if row is None:
        _list([one.name for one in rows_of(table)], json=json)
        return
    found = find_row(table, row)
    if dry_run:
        _print_experiment(found, data)
        return
    if data is None:
        raise ValueError(f"--data must be the path of {found.dataset}, but is not given; or give --dry-run")
    result = reproduce(
        table,
        found,
        data,
        out,
        seeds=options.seeds(0, seeds, ()),
        device=device or "auto",
        callbacks=lambda seed: [ProgressBar(f"{found.name} seed {seed}")],
    )
    if json:
        print_json(result.as_dict())
        return
    print_report_table(result.as_table())
    print_text(f"The reproduction is in {out / 'reproduction.json'} and {out / 'reproduction.md'}")


def _list(names: list[str], *, json: bool) -> None:
    if json:
        print_json({"rows": names})
        return
    for name in names:
        print_text(name)


def _print_experiment(row: Row, data: str | None) -> None:
    from flatrec import config
    from flatrec.api import load_to_train
    from flatrec.research.reproduction import paper_experiment

    given = data is not None and load_to_train(data).split_report.given
    print_text(config.write(paper_experiment(row, data or "", given_split=given)))
