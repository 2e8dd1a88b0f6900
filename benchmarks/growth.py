"""How LightGCN's epoch grows with interactions, columns, layers and batches, and what a very large one needs.

    OMP_NUM_THREADS=1 python benchmarks/growth.py --out growth.json
    OMP_NUM_THREADS=1 python benchmarks/growth.py --users 1000000 --items 200000 --interactions 20000000 --memory

Without ``--memory``, sizes double from a base of Amazon Baby's size, with random interactions; a base epoch alternates
with every other one, and the ratios to it are the result. The time of an epoch is that of its start plus all its steps
at the mean of the measured ones. With twice the interactions and the same batch size it has twice the steps, each of
which propagates over twice the interactions.

With ``--memory`` one model of the given size takes a few steps, and every line says what has been added to the memory
of the process since the line before, beside what the arrays that are known add up to. An evaluation of a thousand
users stands at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from random_pairs import random_dataset
from results import record
from steps import Steps
from torch import nn

from flatrec.config import Component
from flatrec.data.dataset import Dataset
from flatrec.evaluation.evaluate import seen_mask
from flatrec.evaluation.ranking import inner_product, rank
from flatrec.utils.malloc import tune_malloc
from flatrec.utils.provenance import peak_memory_mb

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


def ledger(size: Mapping[str, int], count: int) -> Iterator[dict[str, Any]]:
    """What each part of a run adds to the peak of the process, in MB."""
    before = peak_memory_mb()

    def line(what: str, known: float) -> dict[str, Any]:
        nonlocal before
        now = peak_memory_mb()
        added, before = now - before, now
        return {"what": what, "known_mb": round(known / 2**20), "added_mb": round(added), "peak_mb": round(now)}

    yield line("libraries", 0)
    dataset = dataset_of(size)
    interactions = dataset.interactions
    yield line("interactions, with what drawing and checking them needs", (4 + 4 + 1) * len(interactions))
    steps = steps_of(size, dataset)
    table = 4 * parameters(steps.model)
    entries = 2 * interactions.count("train") * 8 + 4 * (size["users"] + size["items"])
    sampler = 8 * 3 * interactions.count("train")
    yield line("model, graph and sampler, with what building them needs", table + entries + 2 * sampler)
    seconds = steps.mean(count)
    yield line("steps: gradient, two moments, layers", (1 + 2 + 3) * table)
    yield {"steps": count, "seconds_a_step": round(seconds, 3), "epoch_hours": round(len(steps) * seconds / 3600, 2)}
    model = steps.model.eval()
    with torch.no_grad():
        users, items = model.user_item_embeddings(model.encode())
        started = time.perf_counter()
        rank(inner_product(users, items), torch.arange(1000), 20, seen_mask(interactions, "valid", "train"))
    yield line("ranking", 0)
    yield {"ranked_users": 1000, "seconds": round(time.perf_counter() - started, 2), "parameters": parameters(model)}


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(one.numel() for one in model.parameters())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in BASE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    size = {name: getattr(given, name) for name in BASE}
    record(ledger(size, given.steps) if given.memory else growth(given.rounds, given.steps), given.out, size=size)


if __name__ == "__main__":
    main()
