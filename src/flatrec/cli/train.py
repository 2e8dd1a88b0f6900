"""flatrec train, flatrec evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flatrec import folder
from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.progress import ProgressBar
from flatrec.data.interactions import PARTS, Part
from flatrec.experiment import load_run, run_experiment


def train(
    out: Annotated[Path, typer.Option(help="The run folder.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategy: Annotated[str | None, typer.Option(help="See `flatrec list strategies`.", show_default=False)] = None,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Train a recommender and score it on the test part.

    Example: `flatrec train --data shop --model freedom --strategy bsam+ --set strategy.rho=0.1 --out runs/first`
    """
    before = out / folder.EXPERIMENT
    if resume and data is None and experiment is None and not folder.holds_run(out):
        raise FileNotFoundError(f"{out} holds no run to resume; name the folder of a run, or leave out --resume")
    file = before if resume and experiment is None and folder.holds_run(out) else experiment
    settings = options.experiment(file, sets, data=data, model=model, strategy=strategy, seed=seed, device=device)
    bar = ProgressBar(f"{settings.model.name} {settings.strategy.name}", settings.training.monitor)
    run = run_experiment(settings, out=out, resume=resume, overwrite=overwrite, observers=[bar])
    if json:
        print_json(run.result)
        return
    result = run.result
    print_metrics(f"{result['model']} · {result['strategy']} · {result['data']['name']}", result)
    print_text(f"best epoch {result['best_epoch']} of {result['epochs']}; the run is in {out}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    part: Annotated[str, typer.Option(help="valid or test.")] = "test",
    data: Annotated[str | None, typer.Option(help="Where the data are now, if they moved.")] = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Score a finished run again.

    Example: `flatrec evaluate runs/first --part valid`
    """
    chosen = _part(part)
    loaded = load_run(run, data, device or "auto")
    metrics = loaded.evaluate(chosen).metrics
    if json:
        print_json({"run": str(run), "part": chosen, "metrics": metrics})
        return
    print_metrics(f"{run}", {chosen: metrics})


def print_metrics(title: str, parts: Mapping[str, Any]) -> None:
    """A table with a row a metric and cut, a column a part."""
    shown = [part for part in ("valid", "test") if parts.get(part)]
    names = list(parts[shown[0]]) if shown else []
    print_table(title, ["metric", *shown], [[name, *(parts[part][name] for part in shown)] for name in names])


def _part(text: str) -> Part:
    for known in PARTS[1:]:
        if text == known:
            return known
    raise ValueError(f"--part must be valid or test, but is {text!r}")
