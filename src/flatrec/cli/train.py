"""flatrec train, flatrec evaluate."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.recommend import NEIGHBORS, WAYS, Neighbors, Way, way_of

if TYPE_CHECKING:
    from flatrec.cli.progress import ProgressBar
    from flatrec.config import Experiment
    from flatrec.data.interactions import Split
    from flatrec.inference import cold_start
    from flatrec.inference.run import Run
    from flatrec.models.base import Cold

logger = logging.getLogger(__name__)


def train(
    out: Annotated[Path, typer.Option(help="The run folder.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategy: options.Strategy = None,
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
    from flatrec.api import run_experiment
    from flatrec.runs import run_dir
    from flatrec.utils.user_classes import short

    before = out / run_dir.EXPERIMENT
    if resume and data is None and experiment is None and not run_dir.has_run(out):
        raise FileNotFoundError(f"{out} holds no run to resume; name the folder of a run, or leave out --resume")
    file = before if resume and experiment is None and run_dir.has_run(out) else experiment
    settings = options.experiment(file, sets, data=data, model=model, strategy=strategy, seed=seed, device=device)
    run = run_experiment(settings, out=out, resume=resume, overwrite=overwrite, callbacks=[_bar(settings)])
    if json:
        print_json(run.result)
        return
    result = run.result
    print_metrics(f"{short(result['model'])} · {short(result['strategy'])} · {result['data']['name']}", result)
    print_text(f"{_kept(result)}; the run is in {out}")


def _kept(result: Mapping[str, Any]) -> str:
    """Which epoch the model is from, and why."""
    if result["selected"] == "last":
        return f"the last of {result['epochs']} epochs is kept, as training.select says"
    other = result["selected"] and result["monitor"] != result["settings"]["training"]["monitor"]
    return f"best epoch {result['best_epoch']} of {result['epochs']}" + (f" by {result['monitor']}" if other else "")


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    split: Annotated[str, typer.Option(help="valid or test.")] = "test",
    cold_items: Annotated[bool, typer.Option("--cold", help="Hold items out, train without them, score them.")] = False,
    share: Annotated[float | None, typer.Option(help="With --cold: of the items, for each part. Default 0.1.")] = None,
    seed: Annotated[int | None, typer.Option(help="With --cold: decides which items. Default 0.")] = None,
    neighbors: Neighbors = None,
    way: Way = None,
    model: options.OwnModel = None,
    strategy: options.OwnStrategy = None,
    data: Annotated[str | None, typer.Option(help="Where the data are now, if they moved.")] = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Score a finished run again; with --cold, its settings on items that were held out entirely.

    Example: `flatrec evaluate runs/first --part valid`
    """
    from flatrec.api import load_run

    chosen = _part(split)
    if not cold_items and (share, seed, neighbors, way, strategy) != (None, None, None, None, None):
        raise ValueError("--share, --seed, --neighbors, --way and --strategy are about held-out items; give --cold too")
    loaded = load_run(run, data, device or "auto", model)
    if cold_items:
        held_out = _HeldOut(
            0.1 if share is None else share,
            0 if seed is None else seed,
            NEIGHBORS if neighbors is None else neighbors,
            way_of(way),
        )
        about, result = _evaluate_cold(run, loaded, chosen, held_out, _settings(run, model, strategy, device))
        _print_cold(about, result, json=json)
        return
    metrics = loaded.evaluate(chosen).metrics
    differing = loaded.differing(chosen, metrics)
    if json:
        print_json({"run": str(run), "part": chosen, "metrics": metrics, "differing": list(differing)})
    else:
        print_metrics(f"{run}", {chosen: metrics})
    if differing:
        _warn_of_difference(loaded.result, chosen, metrics, differing)


def _warn_of_difference(
    result: Mapping[str, Any], split: str, metrics: Mapping[str, float], names: Sequence[str]
) -> None:
    """A warning where a run does not score what it scored after training."""
    widest = max(names, key=lambda name: abs(metrics[name] - result[split][name]))
    made = {**result["versions"], "device": result["machine"]["device"]}
    logger.warning(
        "%d of %d metrics differ from result.json, most of all %s: %.6g now, %.6g after training (%s); the last digits "
        "may differ between versions, threads and devices, anything more says that the run or its data were changed",
        len(names),
        len(metrics),
        widest,
        metrics[widest],
        result[split][widest],
        ", ".join(f"{name} {value}" for name, value in made.items()),
    )


class _HeldOut(NamedTuple):
    """What ``--cold`` holds out, and how it places that."""

    share: float
    seed: int
    neighbors: int
    way: Cold | None


def _settings(run: Path, model: str | None, strategy: str | None, device: str | None) -> Experiment:
    """The settings of a run, whose classes are the user's own only where they are named."""
    from flatrec.runs import run_dir

    return options.experiment(run / run_dir.EXPERIMENT, None, model=model, strategy=strategy, device=device)


def _evaluate_cold(
    run: Path, loaded: Run, split: Split, asked: _HeldOut, experiment: Experiment
) -> tuple[Mapping[str, Any], cold_start.ColdResult]:
    """Train without some items and score these."""
    from flatrec.inference import cold_start

    cold_start.check_able(loaded.recommender, loaded.dataset, way=asked.way, neighbors=asked.neighbors)
    held = cold_start.hold_out(loaded.dataset, asked.share, asked.seed)
    cold_start.cold_items(held, split)  # all that can be refused is, before anything is trained
    trained = cold_start.warm_run(experiment, held, run / held.name, [_bar(experiment)])
    result = cold_start.evaluate_cold(
        trained, experiment.model.options, held, split=split, neighbors=asked.neighbors, way=asked.way
    )
    about = {
        "run": str(run),
        "cold_run": str(run / held.name),
        "part": split,
        "share": held.share,
        "seed": held.seed,
        "neighbors": asked.neighbors,
        "mask": trained.mask,
    }
    return about, result


def print_metrics(title: str, parts: Mapping[str, Any]) -> None:
    """A table with a row a metric and cut, a column a part."""
    shown = [split for split in ("valid", "test") if parts.get(split)]
    if not shown:
        print_text(f"{title}: neither a validation nor a test part to score")
        return
    names = list(parts[shown[0]])
    print_table(title, ["metric", *shown], [[name, *(parts[split][name] for split in shown)] for name in names])


def _part(text: str) -> Split:
    from flatrec.data.interactions import SPLITS

    for known in SPLITS[1:]:
        if text == known:
            return known
    raise ValueError(f"--part must be valid or test, but is {text!r}")


def _bar(experiment: Experiment) -> ProgressBar:
    from flatrec.cli.progress import ProgressBar
    from flatrec.utils.user_classes import short

    return ProgressBar(f"{short(experiment.model.name)} {short(experiment.strategy.name)}")


def _print_cold(about: Mapping[str, Any], result: cold_start.ColdResult, *, json: bool) -> None:
    """What was asked and what came of it."""
    if json:
        print_json({**about, **asdict(result)})
        return
    split, way = about["part"], WAYS[result.way]
    print_cold_metrics(f"Among the {result.items} cold items, {split}", result.way, result.among_cold)
    print_cold_metrics(f"Among all items, {split}", result.way, result.among_all)
    print_text(
        f"{result.items} cold items, {result.pairs} pairs with {result.users} users; the model places them by {way}; "
        f"random is the exact expectation; trained without them in {about['cold_run']}"
    )
    if result.featureless:
        print_text(f"- {result.featureless} of them lack every modality, cannot be listed, and count as misses")
    if result.untrained:
        print_text(f"- {result.untrained} of the users have no training pair left, so that nothing is known of them")


def print_cold_metrics(title: str, way: str, compared: cold_start.Comparison) -> None:
    """A table with a row a metric and cut, a column a way of recommending."""
    names = ["metric", f"model ({way})", "content", "random"]
    rows = [[name, score, compared.content[name], compared.random.get(name)] for name, score in compared.model.items()]
    print_table(title, names, rows)
