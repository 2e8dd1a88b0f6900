"""flatrec sweep."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json
from flatrec.cli.study import Address, BackEnd, Jobs, print_outcome


def sweep(
    out: Annotated[Path, typer.Option(help="Gets runs, tables, figures and study.json.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategy: options.Strategy = None,
    space: Annotated[
        Path | None,
        typer.Option(help="A TOML file of what to try; the usual grids if left out.", show_default=False),
    ] = None,
    sampler: Annotated[str, typer.Option(help="grid, random or tpe.")] = "tpe",
    trials: Annotated[int, typer.Option(help="How many.")] = 20,
    seeds: Annotated[int, typer.Option(help="Fresh seeds on which the winner is trained again and tested.")] = 5,
    seed: options.Seed = None,
    storage: Annotated[
        str, typer.Option(help="URL of Optuna's store, e.g. postgresql+psycopg://…; a file in --out if left out.")
    ] = "",
    name: Annotated[str, typer.Option(help="Of the sweep in its store; who gives the same shares it.")] = "sweep",
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    jobs: Jobs = 1,
    backend: BackEnd = "local",
    address: Address = None,
    json: options.Json = False,
) -> None:
    """Search for settings on validation, and confirm the winner on fresh seeds.

    Example: `flatrec sweep --data shop --model freedom --strategy bsam+ --trials 20 --out runs/sweep`
    """
    from rich.console import Console

    from flatrec.api import log_data_warnings
    from flatrec.research.execution import Workers
    from flatrec.research.studies.base import Source
    from flatrec.research.sweeps import Sweep, default_space
    from flatrec.research.sweeps import sweep as search
    from flatrec.research.sweeps.space import read

    one = options.experiment(experiment, sets, data=data, model=model, strategy=strategy, seed=seed, device=device)
    wanted = read(space) if space is not None else default_space(one.model.name, one.strategy.name)
    fresh = tuple(range(one.seed + 1, one.seed + 1 + (options.counted("--seeds", seeds) if seeds else 0)))
    asked = Sweep(one, wanted, sampler, trials, fresh, storage, name)
    options.counted("--trials", trials, most=1_000_000)
    err = Console(stderr=True)

    def line(error: str | None, left: int) -> None:
        said = "a trial ended" if error is None else f"failed: {error}"
        err.print(f"{said} ({left} left)", markup=False, highlight=False, soft_wrap=True)

    log_data_warnings(Source(one.data).load())
    outcome = search(asked, out, workers=Workers(jobs, backend, address), on_trial=line)
    if json:
        print_json(asdict(outcome))
        return
    print_outcome(outcome, out)
