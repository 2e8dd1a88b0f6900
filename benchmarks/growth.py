"""How LightGCN's epoch grows with interactions, columns, layers and batches.

    OMP_NUM_THREADS=1 python benchmarks/growth.py --out growth.json

Sizes double from a base of Amazon Baby's size, with random interactions; a base epoch alternates with every other one,
and the ratios to it are the result. The time of an epoch is that of its start plus all its steps at the mean of the
measured ones. With twice the interactions and the same batch size it has twice the steps, each of which propagates over
twice the interactions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from random_pairs import random_dataset
from results import record
from steps import Steps

from flatrec.config import Component
from flatrec.data.dataset import Dataset
from flatrec.utils.malloc import tune_malloc

BASE = {
    "users": 19_445,
    "items": 7_050,
    "interactions": 120_000,
    "embedding_dim": 64,
    "n_layers": 3,
    "batch_size": 2048,
}


def dataset_of(size: Mapping[str, int]) -> Dataset:
    """Random interactions of this size."""
    return random_dataset(size["users"], size["items"], size["interactions"])


def steps_of(size: Mapping[str, int], dataset: Dataset) -> Steps:
    """A model of this size, ready for its first step."""
    model = Component("lightgcn", {"embedding_dim": size["embedding_dim"], "n_layers": size["n_layers"]})
    return Steps(model, "plain", dataset, size["batch_size"])


GROWN = (
    ("interactions",),
    ("interactions", "batch_size"),
    ("users",),
    ("embedding_dim",),
    ("n_layers",),
    ("batch_size",),
)


def growth(rounds: int, count: int) -> Iterator[dict[str, Any]]:
    """A row a size that is doubled."""
    base = steps_of(BASE, dataset_of(BASE))
    for names in GROWN:
        size = {**BASE, **{name: 2 * BASE[name] for name in names}}
        other = steps_of(size, dataset_of(size))
        times = []
        for _ in range(rounds + 1):
            row = []
            for one in (base, other):
                begun, step = one.begin(), one.mean(count)
                row += [step, begun + len(one) * step]
            times.append(row)
        step, epoch, other_step, other_epoch = (median(column) for column in zip(*times[1:], strict=True))
        yield {
            "doubled": " and ".join(names),
            "base_step_ms": round(1000 * step, 1),
            "step_ms": round(1000 * other_step, 1),
            "step_ratio": round(median(one[2] / one[0] for one in times[1:]), 2),
            "base_epoch": round(epoch, 3),
            "epoch": round(other_epoch, 3),
            "epoch_ratio": round(median(one[3] / one[1] for one in times[1:]), 2),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    record(growth(given.rounds, given.steps), given.out, size=BASE)


if __name__ == "__main__":
    main()
