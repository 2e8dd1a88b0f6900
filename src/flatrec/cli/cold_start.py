"""flatrec cold-start."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.progress import training_bar

if TYPE_CHECKING:
    from flatrec.inference.cold_start import BaselineComparison, ColdStartResult


def cold_start(
    run: options.RunDir,
    split: options.EvaluatedSplit = "test",
    fraction: Annotated[float, typer.Option(help="Fraction of the items to hold out for each split.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the draw of held-out items.")] = 0,
    n_neighbors: options.NNeighbors = None,
    method: options.Method = None,
    model: options.OwnModel = None,
    strategy: options.OwnStrategy = None,
    metrics: options.OwnMetrics = None,
    data: options.MovedData = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Hold items out, train without them by a run's settings, and score how well they are recommended.

    Example: `flatrec cold-start runs/first --fraction 0.1 --split valid`
    """
    from flatrec.api import load_run
    from flatrec.cli import changed_data
    from flatrec.inference.cold_start import evaluate_cold_start, run_name
    from flatrec.runs import run_dir

    scored = options.evaluated_split(split)
    dataset = changed_data.data_of(run, data)
    if changed_data.has_changed(run, dataset):
        changed_data.note_change(run, dataset, "items are held out of the data as they are now")
        loaded = changed_data.untrained(run, dataset, model, metrics or ())
    else:
        loaded = load_run(run, dataset, device or "auto", model, metrics=metrics or ())
    file = run / run_dir.EXPERIMENT
    experiment = options.experiment(file, None, model=model, strategy=strategy, device=device)
    folder = run / run_name(fraction, seed)
    result = evaluate_cold_start(
        loaded,
        experiment,
        folder,
        split=scored,
        fraction=fraction,
        seed=seed,
        n_neighbors=options.N_NEIGHBORS if n_neighbors is None else n_neighbors,
        method=method,
        callbacks=[training_bar(experiment)],
    )
    if json:
        print_json({"run": str(run), "cold_run": str(folder), **asdict(result)})
        return
    _print_result(result, folder)


def print_comparison(title: str, method: str, comparison: BaselineComparison) -> None:
    """Print a table with one row per metric and k, and one column per recommender."""
    columns = ["metric", f"model ({method})", "content", "random"]
    rows = [
        [name, score, comparison.content[name], comparison.random.get(name)] for name, score in comparison.model.items()
    ]
    print_table(title, columns, rows)


def _print_result(result: ColdStartResult, folder: Path) -> None:
    print_comparison(f"Among the {result.n_items} held-out items, {result.split}", result.method, result.among_held_out)
    print_comparison(f"Among all items, {result.split}", result.method, result.among_all)
    print_text(
        f"{result.n_items} held-out items, {result.n_interactions} interactions with {result.n_users} "
        f"{'users' if result.users == 'all' else result.users}; the model "
        f"embeds the items by {options.METHODS[result.method]}; random is the exact expectation; the run without these "
        f"items is in {folder}"
    )
    if result.n_items_without_features:
        print_text(
            f"- {result.n_items_without_features} of the items lack every modality: they cannot be listed and count as "
            "misses"
        )
    if result.n_users_without_training:
        print_text(
            f"- {result.n_users_without_training} of the users have no training interaction left, so that nothing is "
            "known of them"
        )
