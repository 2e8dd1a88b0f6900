"""How much faster two processes that share columns take a step of LightGCN than one process, with one thread or two.

    python benchmarks/columns.py --out columns.json

The interactions are random. Every measurement has processes of its own, in turn with the others, and is the median
step by the clock; ``cpu`` is the median of the CPU seconds of the busiest process, which is what to read where other
programs run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from random_pairs import random_dataset
from results import record
from steps import Steps
from torch import distributed

from flatrec.config import Component
from flatrec.ops.columns import sharing
from flatrec.ops.process_group import ProcessGroup
from flatrec.parallel.shards import ColumnShards
from flatrec.training import optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.utils.malloc import tune_malloc

SIZE = {
    "users": 200_000,
    "items": 50_000,
    "interactions": 2_000_000,
    "embedding_dim": 256,
    "n_layers": 3,
    "batch_size": 2048,
}


class How(NamedTuple):
    """By how many processes a step is taken, and by how many threads of each."""

    processes: int
    threads: int


HOWS = (How(1, 1), How(1, 2), How(2, 1))


def seconds(rank: int, how: How, given: argparse.Namespace, store: str) -> list[tuple[float, float]]:
    """Seconds by the clock and of the processor, of each step of one process."""
    torch.set_num_threads(how.threads)
    tune_malloc()
    dataset = random_dataset(given.users, given.items, given.interactions)
    options = {"embedding_dim": given.embedding_dim, "n_layers": given.n_layers}
    steps = Steps(Component("lightgcn", options), given.strategy, dataset, given.batch_size)
    group = None
    if how.processes > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=how.processes)
        group = ProcessGroup(rank, how.processes)
        ColumnShards(steps.model, group)
    steps.context = TrainStepContext(steps.model, optimizers.make("adam", steps.model.parameters(), {"fused": True}))
    found = []
    with sharing(group) if group is not None else nullcontext():
        for _ in range(given.steps + 1):
            started = time.perf_counter()
            processor = steps.take()
            found.append((time.perf_counter() - started, processor))
    return found[1:]


def child(rank: int, how: How, given: argparse.Namespace, store: str) -> None:
    """Measure in a process of its own, which writes down what it found."""
    torch.save(seconds(rank, how, given, store), f"{store}.{rank}")


def measured(how: How, given: argparse.Namespace) -> tuple[float, float]:
    """The median step by the clock, and that of the processor where it is the longest."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        os.environ["OMP_NUM_THREADS"] = str(how.threads)
        context = multiprocessing.get_context("spawn")
        children = [context.Process(target=child, args=(rank, how, given, store)) for rank in range(how.processes)]
        for one in children:
            one.start()
        for one in children:
            one.join()
        found = [torch.load(f"{store}.{rank}", weights_only=False) for rank in range(how.processes)]
    clock, processor = ([[step[column] for step in one] for one in found] for column in (0, 1))
    return max(map(median, clock)), max(map(median, processor))


def rows(given: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """A row for each way, and the ratios of the medians of the rounds."""
    found: dict[How, list[tuple[float, float]]] = {how: [] for how in HOWS}
    for _ in range(given.rounds):
        for how in HOWS:
            found[how].append(measured(how, given))
    best = {how: [median(column) for column in zip(*times, strict=True)] for how, times in found.items()}
    for how, (clock, processor) in best.items():
        yield {**how._asdict(), "step": round(clock, 3), "cpu": round(processor, 3)}
    alone, threads, together = (best[how] for how in HOWS)
    yield {
        "against one thread": round(alone[0] / together[0], 2),
        "against two threads": round(threads[0] / together[0], 2),
        "by the processor, against one thread": round(alone[1] / together[1], 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in SIZE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--strategy", default="plain")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    record(rows(given), given.out, size={name: getattr(given, name) for name in SIZE}, steps=given.steps)


if __name__ == "__main__":
    main()
