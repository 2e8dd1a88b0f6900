"""How many steps LightGCN needs with larger batches, and what layers in bfloat16 cost in accuracy.

    OMP_NUM_THREADS=1 python experiments/batch_sizes.py --data DATA/tiktok --out tiktok.jsonl
    OMP_NUM_THREADS=1 python experiments/batch_sizes.py --data DATA/tiktok --cases 16384:0.02:float32 --out one.jsonl

A case is a batch size, a learning rate and the precision of layers. Everything else has the default of LightGCN. A run
is validated about every 40 steps, or every epoch where that is longer, and stops after 8 validations without a better
one; the epoch of the best validation is scored on the test split. Runs are written as lines of JSON; a table of means
and deviations over the seeds follows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from flatrec import Dataset, Training, fit, load_data
from flatrec.config import Evaluation
from flatrec.utils.malloc import tune_malloc

CASES = "1024:0.01:float32,1024:0.01:bfloat16,4096:0.01:float32,16384:0.01:float32,16384:0.02:float32"
MOST_STEPS, VALIDATE_EVERY = 6000, 40
SHOWN = ("steps", "valid recall@20", "test recall@20", "test recall@10")


class Case(NamedTuple):
    """What differs from run to run, beside the seed."""

    batch_size: int
    lr: float
    layers: str


def trained(dataset: Dataset, case: Case, seed: int) -> dict[str, Any]:
    """One run, as a line of the results."""
    per_epoch = -(-dataset.interactions.count("train") // case.batch_size)
    every = max(1, VALIDATE_EVERY // per_epoch)
    training = Training(
        epochs=every * (MOST_STEPS // (every * per_epoch)),
        batch_size=case.batch_size,
        layer_precision="bfloat16" if case.layers == "bfloat16" else "float32",
        patience=8,
        evaluate_every=every,
        loggers=(),
    )
    evaluation = Evaluation(metrics=("recall", "ndcg"))
    rate = {"lr": case.lr}
    result = fit(
        dataset, "lightgcn", optimizer_settings=rate, training=training, evaluation=evaluation, seed=seed
    ).result
    return {
        **case._asdict(),
        "seed": seed,
        "steps per epoch": per_epoch,
        "epochs": result["best_epoch"],
        "steps": result["best_epoch"] * per_epoch,
        "valid recall@20": result["valid"]["recall@20"],
        "test recall@20": result["test"]["recall@20"],
        "test recall@10": result["test"]["recall@10"],
    }


def table(runs: Sequence[dict[str, Any]], cases: Sequence[Case]) -> Iterator[str]:
    """Markdown: a row per case."""
    yield "| batch | lr | layers | " + " | ".join(SHOWN) + " |"
    yield "|---" * (3 + len(SHOWN)) + "|"
    for case in cases:
        own = [run for run in runs if all(run[name] == value for name, value in case._asdict().items())]
        columns = [[run[name] for run in own] for name in SHOWN]
        spread = (stdev(column) if len(column) > 1 else 0.0 for column in columns)
        cells = [f"{fmean(column):.4g} ± {one:.2g}" for column, one in zip(columns, spread, strict=True)]
        yield f"| {case.batch_size} | {case.lr:g} | {case.layers} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every case with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    tune_malloc()
    cases = [
        Case(int(size), float(lr), layers) for size, lr, layers in (one.split(":") for one in given.cases.split(","))
    ]
    dataset, runs = load_data(given.data), []
    for seed in range(given.seeds):
        for case in cases:
            runs.append(trained(dataset, case, seed))
            given.out.write_text("".join(json.dumps(run) + "\n" for run in runs), encoding="utf-8")
    sys.stdout.write("\n".join(table(runs, cases)) + "\n")


if __name__ == "__main__":
    main()
