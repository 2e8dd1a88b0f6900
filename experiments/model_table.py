"""Every model, shortly trained, each run in a process of its own: seconds a step, peak memory, test Recall@10.

    python experiments/model_table.py --data ML_SMALL --epochs 30 --out runs/models-ml-small
    python experiments/model_table.py --data BABY --models lightgcn,ngcf,layergcn --epochs 40 --out runs/models-baby

Finished runs are not run again. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flatrec import load_data
from flatrec.data.batches import Sampler
from flatrec.models import MODELS


def trained(name: str, strategy: str, data: Path, out: Path, *words: str) -> dict[str, Any]:
    """The result of one run."""
    folder = out / f"{name}-{strategy}"
    result = folder / "result.json"
    if not result.is_file():
        command = [str(Path(sys.executable).with_name("flatrec")), "train", "--data", str(data), "--model", name]
        command += ["--strategy", strategy, "--out", str(folder), "--set", "training.tensorboard=false", *words]
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, *(["--resume"] if folder.is_dir() else [])], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


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
    sets = [f"training.epochs={given.epochs}", *given.set]
    words = ["--seed", str(given.seed), *(word for one in sets for word in ("--set", one))]
    rows = [
        "| model | strategy | epochs (best) | ms a step | peak MB | valid Recall@20 | test Recall@10 |",
        "|---" * 7 + "|",
    ]
    say("\n".join(rows))
    sampler = Sampler(load_data(given.data).interactions, 2048)
    for name in given.models.split(","):
        for strategy in given.strategies.split(","):
            result = trained(name, strategy, given.data, given.out, *words)
            step = 1000 * result["seconds"]["train_per_epoch"] / len(sampler)
            say(
                f"| {name} | {strategy} | {result['epochs']} ({result['best_epoch']}) | {step:.0f} "
                f"| {result['peak_memory_mb']:.0f} | {result['valid']['recall@20']:.4f} "
                f"| {result['test']['recall@10']:.4f} |"
            )


if __name__ == "__main__":
    main()
