"""Seconds and memory of a training step, model by model, against FREEDOM.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/steps.py --data baby-like --strategies plain,bsam+ --out steps.json

Times are medians of the CPU seconds of steps that alternate, in one process, with those of FREEDOM under the same
strategy; their ratio is what to read, seconds drift with the machine. With one thread, CPU seconds are those of the
clock on a machine that does nothing else. Memory is the peak of a process that does nothing else, the data
included. Where the system counts a parent's memory until the program starts, as Linux does, that peak is at least the
parent's; the parent loads the libraries and no data, so it is the smaller one. Both use default settings and Adam; what
building, an epoch's start and its first step cost stands apart. A step of FREEDOM comes before that first one, so that
it does not pay for what torch sets up once a process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

import torch
from results import record

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.models import MODELS, Model
from flatrec.registry.instantiate import build_model, build_strategy
from flatrec.sampling.sampler import Sampler
from flatrec.training import optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from flatrec.utils.malloc import tune_malloc
from flatrec.utils.provenance import peak_memory_mb

BASELINE = "freedom"
WITH_GROUPS = ("aligngroup",)  # refuse data without groups, as the generated ones are


class Steps:
    """The steps of one model under one strategy."""

    def __init__(self, model: str | Component, strategy: str, dataset: Dataset, batch_size: int) -> None:
        started = time.process_time()
        built = build_model(Component(model) if isinstance(model, str) else model, dataset, seed=0)
        self.seconds_to_build = time.process_time() - started
        assert isinstance(built, Model)
        self.model = built.train()
        self.strategy = build_strategy(Component(strategy))
        self.context = TrainStepContext(self.model, optimizers.make("adam", self.model.parameters(), {}))
        self.sampler = Sampler(dataset.interactions, batch_size)
        self.epoch = 0
        self.seconds_to_begin = self.begin()

    def __len__(self) -> int:
        """Steps an epoch."""
        return self.sampler.steps(self.strategy.batches_per_step, "independent")

    def begin(self) -> float:
        """Begin an epoch, its pairs shuffled and its negatives drawn; the seconds it took."""
        started = time.process_time()
        self.epoch += 1
        self.model.on_epoch_start(seeding.generator(0, "model", self.epoch))
        stream = seeding.generator(0, "batches", self.epoch)
        batches = self.sampler.epoch(stream, self.strategy.batches_per_step)
        self.batches = itertools.chain([next(batches)], batches)
        return time.process_time() - started

    def next_batches(self) -> tuple[Batch, ...]:
        """Those of the next step, of a new epoch where this one is over."""
        batches = next(self.batches, None)
        if batches is None:
            self.begin()
            batches = next(self.batches)
        return batches

    def take(self) -> float:
        """Take a step; the seconds it took."""
        batches = self.next_batches()
        started = time.process_time()
        self.strategy.step(self.context, *batches)
        self.model.on_step_end()
        return time.process_time() - started

    def mean(self, steps: int) -> float:
        """The mean of so many steps, in seconds."""
        return fmean(self.take() for _ in range(steps))


def measured(name: str, strategy: str, data: Path, *, steps: int, batch_size: int) -> dict[str, object]:
    """One row: time against the baseline here, memory from a process of its own."""
    dataset = load_data(data)
    both = [Steps(name, strategy, dataset, batch_size), Steps(BASELINE, strategy, dataset, batch_size)]
    both[1].take()
    first = both[0].take()
    for one in both:
        one.take()
    times = [[one.take() for one in both] for _ in range(steps)]
    own, other = (median(column) for column in zip(*times, strict=True))
    return {
        "model": name,
        "strategy": strategy,
        "build": round(both[0].seconds_to_build, 3),
        "epoch_start": round(both[0].seconds_to_begin, 3),
        "first_step": round(first, 3),
        "step": round(own, 4),
        f"{BASELINE}_step": round(other, 4),
        "ratio": round(own / other, 2),
        "epoch": round(both[0].seconds_to_begin + len(both[0]) * own, 2),
        **({"split_ms": split(both[0], steps)} if strategy == "plain" else {}),
    }


def split(steps: Steps, rounds: int) -> dict[str, float]:
    """Where a plain step goes, in milliseconds: medians of its parts, and the step's share of the epoch's sampling."""
    context, model = steps.context, steps.model
    times = []
    for _ in range(rounds):
        (batch,) = steps.next_batches()
        moments = [time.process_time()]
        encoded = model.encode()
        moments.append(time.process_time())
        loss = model.loss(encoded, batch)
        moments.append(time.process_time())
        gradient = torch.autograd.grad(loss, context.params, materialize_grads=True)
        moments.append(time.process_time())
        context.update(gradient)
        moments.append(time.process_time())
        model.on_step_end()
        times.append([after - before for before, after in itertools.pairwise(moments)])
    medians = [round(1000 * median(column), 2) for column in zip(*times, strict=True)]
    started = time.process_time()
    list(steps.sampler.epoch(seeding.generator(0, "batches")))
    sampling = round(1000 * (time.process_time() - started) / len(steps), 2)
    return dict(zip(("sampling", "encode", "loss", "backward", "update"), [sampling, *medians], strict=True))


def alone(name: str, strategy: str, data: Path, batch_size: int) -> dict[str, object]:
    """Peak memory of a few steps in this process."""
    steps = Steps(name, strategy, load_data(data), batch_size)
    before = peak_memory_mb()
    for _ in range(4):
        steps.take()
    parameters = sum(one.numel() for one in steps.model.parameters())
    return {"peak_mb": max(before, peak_memory_mb()), "parameters": parameters}


def apart(name: str, strategy: str, given: argparse.Namespace) -> dict[str, object]:
    """Time and memory of a row, each measured in a new process."""
    words = [sys.executable, __file__, "--data", str(given.data), "--models", name, "--strategies", strategy]
    words += ["--steps", str(given.steps), "--batch-size", str(given.batch_size), "--only"]
    row: dict[str, object] = {}
    for what in ("time", "memory"):
        row |= json.loads(subprocess.run([*words, what], check=True, stdout=subprocess.PIPE, text=True).stdout)
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every row in processes of its own, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default=",".join(name for name in MODELS if name not in WITH_GROUPS))
    parser.add_argument("--strategies", default="plain,bsam,bsam+")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=["time", "memory"], help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    tune_malloc()
    if given.only:
        name, strategy = given.models, given.strategies
        row = (
            measured(name, strategy, given.data, steps=given.steps, batch_size=given.batch_size)
            if given.only == "time"
            else alone(name, strategy, given.data, given.batch_size)
        )
        print(json.dumps(row))
        return
    pairs = itertools.product(given.strategies.split(","), given.models.split(","))
    how = {"data": str(given.data), "batch_size": given.batch_size, "steps": given.steps}
    record((apart(name, strategy, given) for strategy, name in pairs), given.out, **how)


if __name__ == "__main__":
    main()
