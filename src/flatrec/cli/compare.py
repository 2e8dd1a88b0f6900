"""flatrec compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text

if TYPE_CHECKING:
    from flatrec.research.comparison import Table


def compare(
    out: Annotated[Path, typer.Option(help="Gets a run folder a strategy and seed.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategies: Annotated[
        str, typer.Option(help="Comma-separated, your own too; the first is the baseline.")
    ] = "plain,bsam,bsam+",
    seeds: Annotated[int, typer.Option(help="How many; they are numbered from --seed.")] = 5,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Train the same model with several strategies over the same seeds; say which differences are significant.

    What an earlier call with the same settings finished is not trained again, what it began goes on.

    Example: `flatrec compare --data shop --model freedom --strategies plain,bsam,bsam+ --seeds 5 --out runs/compare`
    """
    from flatrec.api import load_to_train
    from flatrec.cli.progress import ProgressBar
    from flatrec.research.comparison import compare_strategies

    shared = options.experiment(experiment, sets, data=data, model=model, seed=seed, device=device)
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    table = compare_strategies(
        shared,
        names,
        range(shared.seed, shared.seed + options.counted("--seeds", seeds)),
        out,
        dataset=load_to_train(shared.data),
        overwrite=overwrite,
        on_run=lambda name, number: [ProgressBar(f"{name} seed {number}")],
    )
    if json:
        print_json(table.as_dict())
        return
    print_comparison(table)
    print_text(f"The comparison is in {out / 'compare.json'}")


def print_comparison(table: Table) -> None:
    """Recall and NDCG at each cut: mean ± deviation, gain over the baseline, corrected p of both tests."""
    from flatrec.evaluation.significance import MIN_SEEDS
    from flatrec.research.comparison import TESTED

    metrics = [name for name in table.cells[table.baseline] if name.split("@")[0] in TESTED]
    rows = [[metric, *(_cell(table, name, metric) for name in table.cells)] for metric in metrics]
    title = f"{table.model} on {table.data}, test part, seeds {', '.join(map(str, table.seeds))}"
    print_table(title, ["metric", *table.cells], rows)
    print_text(
        f"mean ± deviation; gain over {table.baseline}; p of paired t-test / Wilcoxon, Holm-corrected over the table"
        + ("" if len(table.seeds) >= MIN_SEEDS else "; fewer than five seeds are not a result")
    )


def _cell(table: Table, strategy: str, metric: str) -> str:
    cell = table.cells[strategy][metric]
    text = f"{cell.mean:.4f} ± {cell.deviation:.4f}"
    if cell.comparison is None:
        return text
    gain = "" if cell.comparison.gain is None else f"\n{cell.comparison.gain:+.1%}"
    tests = "/".join("-" if p is None else f"{p:.3f}" for p in (cell.t_p_holm, cell.wilcoxon_p_holm))
    return f"{text}{gain}  p {tests}"
