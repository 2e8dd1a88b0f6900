"""What LightGCN needs for 20 million interactions: memory part by part, and steps of several batch sizes.

    OMP_NUM_THREADS=1 python benchmarks/large.py --memory --out memory.json
    OMP_NUM_THREADS=1 python benchmarks/large.py --out large.json

Interactions are random, with the skew of a shop. ``--memory`` prints for each part of a run how much memory the process
holds after it and the most that it held within it, in MB. Between parts, memory that was freed is returned to the
system, so that a part shows what it needs itself. Linux alone counts the peak of a part.

Without ``--memory``, steps of all batch sizes and of both precisions of layers take turns in one process. Seconds are
CPU seconds of one thread, medians over the rounds. An epoch is the drawing of its batches and all its steps, of which
only a few are taken.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from random_pairs import random_dataset
from results import record
from steps import Steps

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.evaluation.evaluate import seen_mask
from flatrec.evaluation.ranking import inner_product, rank
from flatrec.graphs.interaction import training_graph
from flatrec.registry.instantiate import build_model
from flatrec.sampling.sampler import Sampler
from flatrec.training import optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from flatrec.utils.malloc import tune_malloc

SIZE = {"users": 1_000_000, "items": 200_000, "interactions": 20_000_000, "embedding_dim": 64, "n_layers": 3}
FUSED = {"fused": True}  # as in training
LAYERS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Made = TypeVar("Made")


class Ledger:
    """The memory of this process, part by part."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def part(self, name: str, make: Callable[[], Made]) -> Made:
        """Carry out a part of a run; what it returns stays in memory."""
        _return_freed()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
        made = make()
        peak = _status("VmHWM")
        _return_freed()
        self.rows.append({"part": name, "held_mb": _status("VmRSS"), "peak_mb": peak})
        return made


def _return_freed() -> None:
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _status(name: str) -> int:
    """A line of Linux's account of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(name))


def component(given: argparse.Namespace) -> Component:
    """LightGCN of the size asked for."""
    return Component("lightgcn", {"embedding_dim": given.embedding_dim, "n_layers": given.n_layers})


def memory(given: argparse.Namespace, batch_size: int) -> list[dict[str, Any]]:
    """A row for each part of a run."""
    ledger = Ledger()
    ledger.part("libraries", lambda: None)
    dataset = ledger.part(
        "interactions, with the drawing of them", lambda: random_dataset(given.users, given.items, given.interactions)
    )
    ledger.part("the graph, built and thrown away", lambda: [training_graph(dataset.interactions), None][1])
    model = ledger.part("model: embeddings and graph", lambda: build_model(component(given), dataset, seed=0).train())
    sampler = ledger.part("sampler", lambda: Sampler(dataset.interactions, batch_size))
    epoch = sampler.epoch(seeding.generator(0, "batches", 1))
    batch = ledger.part("batches and negatives of an epoch", lambda: next(epoch)[0])
    optimizer = optimizers.make("adam", model.parameters(), FUSED)
    encoded = ledger.part("encode", model.encode)
    loss = ledger.part("loss of a batch", lambda: model.loss(encoded, batch))
    ledger.part("gradient", loss.backward)
    del encoded, loss
    ledger.part("update, with Adam's two moments", optimizer.step)
    optimizer.zero_grad(set_to_none=True)
    ledger.part("lists of a thousand users", lambda: lists(model.eval(), dataset))
    return ledger.rows


def lists(model: torch.nn.Module, dataset: Dataset) -> None:
    """Rank all items for a thousand users."""
    with torch.no_grad():
        users, items = model.user_item_embeddings(model.encode())
        rank(inner_product(users, items), torch.arange(1000), 20, seen_mask(dataset.interactions, "valid", "train"))


def steps(given: argparse.Namespace, batch_sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row for each batch size and precision of layers."""
    dataset = random_dataset(given.users, given.items, given.interactions)
    taken = Steps(component(given), "plain", dataset, max(batch_sizes))
    taken.context = TrainStepContext(taken.model, optimizers.make("adam", taken.model.parameters(), FUSED))
    batch = taken.next_batches()[0]
    cases = [(size, name) for size in batch_sizes for name in LAYERS]
    times = [[seconds(taken, batch, *case) for case in cases] for _ in range(given.rounds + 1)][1:]
    columns = dict(zip(cases, zip(*times, strict=True), strict=True))
    for (size, name), column in columns.items():
        count = -(-dataset.interactions.count("train") // size)
        yield {
            "batch_size": size,
            "layers": name,
            "step": round(median(column), 3),
            "ratio": round(median(a / b for a, b in zip(column, columns[size, "float32"], strict=True)), 3),
            "steps": count,
            "epoch_minutes": round((taken.seconds_to_begin + count * median(column)) / 60, 1),
        }


def seconds(steps: Steps, batch: Batch, size: int, layers: str) -> float:
    """CPU seconds of a step with the first interactions of a batch."""
    steps.context.layer_dtype = LAYERS[layers]
    first = batch.with_indices(*(column[:size] for column in batch.indices))
    started = time.process_time()
    steps.strategy.step(steps.context, first)
    return time.process_time() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in SIZE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--batch-sizes", default="2048,32768,131072,524288")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    batch_sizes = [int(size) for size in given.batch_sizes.split(",")]
    if not given.memory:
        tune_malloc()
    found = memory(given, batch_sizes[0]) if given.memory else steps(given, batch_sizes)
    record(found, given.out, size={name: getattr(given, name) for name in SIZE}, rounds=given.rounds)


if __name__ == "__main__":
    main()
