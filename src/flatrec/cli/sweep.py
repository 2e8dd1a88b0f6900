"""flatrec sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.job_progress import JobProgress
from flatrec.cli.printing import print_study_result


def sweep(
    out: options.StudyOut,
    data: options.Data = None,
    model: options.Model = None,
    strategy: options.Strategy = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of the settings to try. Default: the search spaces of model and strategy.",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[str, typer.Option(help="Method that proposes the trials: grid, random or tpe.")] = "tpe",
    trials: Annotated[int, typer.Option(help="Number of trials.")] = 20,
    seeds: Annotated[
        int, typer.Option(help="Number of fresh seeds on which the best settings are trained again and tested.")
    ] = 5,
    seed: options.Seed = None,
    storage: Annotated[
        str,
        typer.Option(
            help="URL of Optuna's store, such as postgresql+psycopg://…. Default: a file in --out.", show_default=False
        ),
    ] = "",
    name: Annotated[
        str, typer.Option(help="Name of the sweep in its store; machines that give the same name share the sweep.")
    ] = "sweep",
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    workers: options.WorkerCount = 1,
    backend: options.Backend = "local",
    address: options.ClusterAddress = None,
    json: options.Json = False,
) -> None:
    """Search for settings by validation scores, and test the best ones on fresh seeds.

    Example: `flatrec sweep --data shop --model freedom --strategy bsam+ --trials 20 --out runs/sweep`
    """
    from flatrec.research import Sweep, Workers, read_space, run_sweep
    from flatrec.research.sweeps.sweep import MAX_TRIALS

    base = options.experiment(experiment, sets, data=data, model=model, strategy=strategy, seed=seed, device=device)
    fresh_seeds = options.seeds(base.seed + 1, seeds, ()) if seeds else ()
    n_trials = options.counted("--trials", trials, MAX_TRIALS)
    tried = read_space(space) if space is not None else None
    wanted = Sweep(base, tried, sampler, n_trials, fresh_seeds, storage, name)
    with JobProgress(name, workers) as progress:
        result = run_sweep(wanted, out, workers=Workers(workers, backend, address), callback=progress)
    print_study_result(result, out, as_json=json)
