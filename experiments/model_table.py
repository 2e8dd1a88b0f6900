"""Every model, shortly trained, each run in a process of its own: seconds a step, peak memory, test Recall@10.

    python experiments/model_table.py --data ML_SMALL --epochs 30 --out runs/models-ml-small
    python experiments/model_table.py --data BABY --models lightgcn,ngcf,layergcn --epochs 40 --out runs/models-baby

A finished run with the same settings, data and seed is not run again; one with other settings is refused. Prints a
Markdown table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flatrec import load_data
from flatrec.cli.options import experiment
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.models import MODELS
from flatrec.registry.instantiate import build_strategy, with_defaults
from flatrec.runs import run_dir
from flatrec.sampling.sampler import Sampler


def trained(settings: Experiment, dataset: Dataset, path: Path, words: Sequence[str]) -> dict[str, Any]:
    """The result of one run: read where it is there already, else trained, going on from a checkpoint if any.

    Raises:
        ValueError: the folder holds a run of other settings or data.
    """
    resume = run_dir.has_run(path)
    if resume:
        run_dir.check_same(path, with_defaults(settings), dataset)
        if (path / run_dir.RESULT).exists():
            result = run_dir.read_result(path)
            if result["settings"]["training"]["epochs"] == settings.training.epochs:
                return result
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("flatrec")), "train", *words, "--out", str(path)]
    subprocess.run([*command, *(["--resume"] if resume else [])], check=True, stdout=subprocess.DEVNULL)
    return run_dir.read_result(path)


def milliseconds(result: dict[str, Any], settings: Experiment, dataset: Dataset) -> float:
    """How long an update took in the mean, whatever batches it asked for."""
    strategy = build_strategy(settings.strategy)
    sampler = Sampler(dataset.interactions, settings.training.batch_size)
    updates = sampler.steps(strategy.batches_per_step, "independent")
    return 1000 * float(result["seconds"]["train_per_epoch"]) / updates


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--strategies", default="plain,bsam+")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], help="any further setting, as for flatrec train")
    given = parser.parse_args(arguments)
    dataset = load_data(given.data)
    sets = ["training.loggers=none", f"training.epochs={given.epochs}", *given.set]
    say(
        "| model | strategy | epochs (best) | ms a step | peak MB | valid Recall@20 | test Recall@10 |\n"
        + "|---" * 7
        + "|"
    )
    for name in given.models.split(","):
        for strategy in given.strategies.split(","):
            chosen = {"data": str(given.data), "model": name, "strategy": strategy, "seed": given.seed}
            settings = experiment(None, sets, **chosen)
            words = [word for key, value in chosen.items() for word in (f"--{key}", str(value))]
            words += [word for one in sets for word in ("--set", one)]
            try:
                result = trained(settings, dataset, given.out / f"{name}-{strategy}-{given.seed}", words)
            except ValueError as error:
                raise SystemExit(str(error)) from None
            say(
                f"| {name} | {strategy} | {result['epochs']} ({result['best_epoch']}) "
                f"| {milliseconds(result, settings, dataset):.0f} "
                f"| {result['peak_memory_mb']:.0f} | {result['valid']['recall@20']:.4f} "
                f"| {result['test']['recall@10']:.4f} |"
            )


if __name__ == "__main__":
    main()
