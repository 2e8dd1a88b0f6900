"""flatrec compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_report_table, print_text


def compare(
    out: Annotated[Path, typer.Option(help="Folder for one run folder per strategy and seed.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategies: Annotated[
        str, typer.Option(help="Names of strategies, your own too, separated by commas; the first is the baseline.")
    ] = "plain,bsam,bsam+",
    seeds: Annotated[int, typer.Option(help="Number of seeds, counted up from --seed.")] = 5,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Train one model with several strategies on the same seeds, and test which differences are significant.

    The same command again continues a comparison that was stopped: finished runs are not trained again, others are
        resumed.

    Example: `flatrec compare --data shop --model freedom --strategies plain,bsam,bsam+ --seeds 5 --out runs/compare`
    """
    from itertools import count

    from flatrec.cli.progress import ProgressBar
    from flatrec.research.comparison import compare, comparison_table

    base = options.experiment(experiment, sets, data=data, model=model, seed=seed, device=device)
    names, numbers = options.names(strategies), options.seeds(base.seed, seeds, ())
    n_runs, runs = len(names) * len(numbers), count(1)
    comparison = compare(
        base,
        names,
        numbers,
        out,
        overwrite=overwrite,
        callbacks=lambda strategy, number: [ProgressBar(f"{next(runs)}/{n_runs} {strategy} seed {number}")],
    )
    if json:
        print_json(comparison.as_dict())
        return
    print_report_table(comparison_table(comparison))
    print_text(f"The comparison is in {out / 'compare.json'}")
