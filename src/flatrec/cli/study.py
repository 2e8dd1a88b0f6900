"""flatrec study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.job_progress import JobProgress
from flatrec.cli.printing import print_study_result
from flatrec.research.studies.registry import ENTRIES


def study(
    name: Annotated[str, typer.Argument(help=f"Name of the study: {', '.join(ENTRIES)}.", show_default=False)],
    out: options.StudyOut,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Path of a folder, a table or a dataset.toml, or `shop`; repeatable. Default: shop.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Names of models, separated by commas. Default: the model of the settings file, or freedom.",
            show_default=False,
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Names of strategies, separated by commas; the others are compared with the first.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds, counted up from --seed.", show_default=False)
    ] = None,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run folders, which several studies may share. Default: runs in --out.",
            show_default=False,
        ),
    ] = None,
    workers: options.WorkerCount = 1,
    backend: options.Backend = "local",
    address: options.ClusterAddress = None,
    json: options.Json = False,
) -> None:
    """Run an experiment of the paper on your data: tables, figures, and which differences are significant.

    A finished run is never trained twice, and the same command continues a study that was stopped. The settings of the
    study itself are `study.KEY`.

    Example: `flatrec study noise --data shop --models freedom --seeds 5 --out runs/noise --set study.draws=3`
    """
    from flatrec.research import Request, Workers, build_study, run_study

    own, shared = _split(sets or ())
    chosen = build_study(name, own)
    request = Request(
        tuple(data or ["shop"]),
        options.names(models),
        options.names(strategies),
        () if seed is None and seeds is None else options.seeds(seed, seeds, chosen.SEEDS),
        options.experiment(experiment, shared, seed=seed, device=device),
    )
    at_work = Workers(workers, backend, address)
    with JobProgress(f"study {name}", workers) as progress:
        result = run_study(chosen, out, request, runs=runs, workers=at_work, callback=progress)
    print_study_result(result, out, as_json=json)


def _split(sets: Sequence[str]) -> tuple[Mapping[str, object], list[str]]:
    """Split what ``--set`` gives into the settings of the study itself and all others."""
    from flatrec import config

    own: dict[str, object] = {}
    others = []
    for text in sets:
        value = config.assignment(text).get("study")
        if value is None:
            others.append(text)
        elif isinstance(value, Mapping):
            own |= {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in value.items()}
        else:
            raise ValueError(f"--set takes study.KEY=VALUE for a study's own settings, but got {text!r}")
    return own, others
