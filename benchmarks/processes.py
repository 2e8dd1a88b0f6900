"""How much faster two processes take a step than one process with one thread or two, by what they divide.

    python benchmarks/processes.py --out processes.json
    python benchmarks/processes.py --data baby-like --model mgcn --strategy bsam+ --by batches,gradients

They divide ``columns`` or ``batches``, as ``training.parallel`` does, or ``gradients``: of a strategy with "+", the
first process then computes the gradient of the strategy without it, and the second the plain one of the second batch.
The last is no setting; it is here to be measured.

Without ``--data``, the interactions are random. Every measurement has processes of its own, in turn with the others,
and is the median step by the clock; ``cpu`` is the median of the CPU seconds of the busiest process, which is what to
read where other programs run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from random_pairs import random_dataset
from results import record
from steps import Steps
from torch import Tensor, distributed

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.loading import load_data
from flatrec.ops.columns import sharing
from flatrec.ops.param_vector import times
from flatrec.ops.process_group import ProcessGroup
from flatrec.parallel.portions import Portions
from flatrec.parallel.shards import ColumnShards
from flatrec.strategies.base import FirstPass
from flatrec.strategies.mixed import Mixed
from flatrec.training import optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.utils.malloc import tune_malloc

SIZE = {"users": 200_000, "items": 50_000, "interactions": 2_000_000, "batch_size": 2048}
OPTIONS = {"lightgcn": {"embedding_dim": 256, "n_layers": 3}}


class How(NamedTuple):
    """By how many processes a step is taken, by how many threads of each, and what they divide."""

    processes: int
    threads: int
    by: str = "nothing"


ALONE = (How(1, 1), How(1, 2))


class Taken(NamedTuple):
    """Seconds of one step."""

    clock: float
    cpu: float


def seconds(rank: int, how: How, given: argparse.Namespace, store: str) -> list[Taken]:
    """What each step of one process takes."""
    torch.set_num_threads(how.threads)
    tune_malloc()
    dataset = load_data(given.data) if given.data else random_dataset(given.users, given.items, given.interactions)
    steps = Steps(Component(given.model, OPTIONS.get(given.model, {})), given.strategy, dataset, given.batch_size)
    group = None
    if how.processes > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=how.processes)
        group = ProcessGroup(rank, how.processes)
    by_columns = group is not None and how.by == "columns"
    if group is not None and by_columns:
        ColumnShards(steps.model, group)
    adam = optimizers.make("adam", steps.model.parameters(), {"fused": True})
    portions = Portions(group) if group is not None and how.by == "batches" else None
    steps.context = TrainStepContext(steps.model, adam, portions=portions)
    with sharing(group if by_columns else None):
        return [taken(steps, group if how.by == "gradients" else None) for _ in range(given.steps + 1)][1:]


def taken(steps: Steps, group: ProcessGroup | None) -> Taken:
    """What a step takes, whose gradients two processes divide if they are given."""
    batches = steps.next_batches()
    clock, cpu = time.perf_counter(), time.process_time()
    if group is None:
        steps.strategy.step(steps.context, *batches)
    else:
        divided_step(steps, group, *batches)
    steps.model.on_step_end()
    return Taken(time.perf_counter() - clock, time.process_time() - cpu)


def divided_step(steps: Steps, group: ProcessGroup, first: Batch, second: Batch) -> None:
    """A step of a strategy with "+", each of whose two gradients one process computes."""
    strategy, context = steps.strategy, steps.context
    assert isinstance(strategy, Mixed)
    own: Sequence[Tensor]
    with strategy.attempt(context):
        if group.is_first:
            _, (gradient,) = context.gradients(first)
            own = times(strategy.inner.transform_gradient(FirstPass(context, first, gradient)), strategy.kappa)
        else:
            _, (gradient,) = context.gradients(second)
            own = times(gradient, 1 - strategy.kappa)
        context.update(group.sum_all(own))


def child(rank: int, how: How, given: argparse.Namespace, store: str) -> None:
    """Measure in a process of its own, which writes down what it found."""
    torch.save([tuple(one) for one in seconds(rank, how, given, store)], f"{store}.{rank}")


def measured(how: How, given: argparse.Namespace) -> Taken:
    """The median step by the clock, and that of the processor, where each is the longest."""
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
    return Taken(*(max(median(step[column] for step in one) for one in found) for column in (0, 1)))


def rows(given: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """A row for each way, by the medians of the rounds, and how much faster it is than one process."""
    hows = [*ALONE, *(How(2, 1, by) for by in given.by.split(","))]
    found: dict[How, list[Taken]] = {how: [] for how in hows}
    for _ in range(given.rounds):
        for how in hows:
            found[how].append(measured(how, given))
    best = {how: Taken(*(median(column) for column in zip(*steps, strict=True))) for how, steps in found.items()}
    one, two = (best[how] for how in ALONE)
    for how, step in best.items():
        yield {
            "model": given.model,
            "strategy": given.strategy,
            **how._asdict(),
            "step": round(step.clock, 3),
            "cpu": round(step.cpu, 3),
            "against one thread": round(one.clock / step.clock, 2),
            "against two threads": round(two.clock / step.clock, 2),
            "by the processor, against one thread": round(one.cpu / step.cpu, 2),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in SIZE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="lightgcn")
    parser.add_argument("--strategy", default="plain")
    parser.add_argument("--by", default="columns,batches")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    size = {name: getattr(given, name) for name in SIZE} if given.data is None else {"data": str(given.data)}
    record(rows(given), given.out, size=size, steps=given.steps)


if __name__ == "__main__":
    main()
