"""CPU time of every training method against plain training of the same model, paired.

    OMP_NUM_THREADS=1 python benchmarks/methods.py --cells lightgcn=DATA/baby,freedom=DATA/tiktok --out methods.json

Every method trains a model of its own, made ready as ``flatrec train`` does, in one process. A few steps of a method
alternate with as many plain ones; the ratio of their CPU times is taken pair by pair, and its median comes with a 95 %
interval from resampling pairs. Ratios are what to read: seconds drift with the machine.

"Step" is what is done batch by batch. "Epoch" adds what is done once: drawing the batches and the graph with dropped
edges, the weights that join an average, and one evaluation on validation, or two with an average, whose raw weights are
scored as well. It is made of medians, hence without an interval.

``--profile METHOD`` prints where the time of the steps of a method goes instead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from paired import interval
from results import record
from torch.profiler import ProfilerActivity, profile

from flatrec.config import Experiment, assignment, changed
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.registry.instantiate import build_model, build_strategy, strategy_names, with_defaults
from flatrec.runs.session import Session
from flatrec.utils import seeding
from flatrec.utils.malloc import tune_malloc

PLAIN = "plain"
VECTORS = ("strategy.name=sam", "training.perturb_target=embeddings")
METHODS: Mapping[str, tuple[str, ...]] = {
    "squared L2": ("regularization.kind=squared", "regularization.weight=0.01"),
    "decoupled L2": ("regularization.kind=decoupled", "regularization.weight=0.0001"),
    "EMA": ("training.average=ema",),
    "SWA": ("training.average=swa",),
    "ASWA": ("training.average=aswa",),
    "softmax, 16 negatives": ("loss.name=softmax", "sampling.n_negatives=16"),
    "BPR, 16 negatives": ("sampling.n_negatives=16",),
    "hardest of 16": ("sampling.name=hardest", "sampling.n_candidates=16"),
    "label smoothing": ("loss.name=bpr", "loss.label_smoothing=0.1"),
    "edge dropout 0.3": ("model.edge_dropout=0.3",),
    "row clipping": ("training.max_row_grad_norm=0.1",),
    "cosine schedule": ("schedule.name=cosineannealinglr", "schedule.T_max=40"),
    "warm-up": ("training.lr_warmup=1",),
    "plain+": ("strategy.name=plain+",),
    "sam": ("strategy.name=sam",),
    "sam, row": ("strategy.name=sam", "strategy.rho_scale=row"),
    "sam+": ("strategy.name=sam+",),
    "bsam": ("strategy.name=bsam",),
    "bsam+": ("strategy.name=bsam+",),
    "bsam+, row": ("strategy.name=bsam+", "strategy.rho_scale=row"),
    "final vectors": VECTORS,
    "final vectors, row": (*VECTORS, "strategy.rho_scale=row"),
    "final vectors, random": (*VECTORS, "strategy.control=random"),
    "final vectors, row, random": (*VECTORS, "strategy.rho_scale=row", "strategy.control=random"),
    "final vectors, bsam": ("strategy.name=bsam", "training.perturb_target=embeddings"),
    "final vectors, sam+": ("strategy.name=sam+", "training.perturb_target=embeddings"),
    "final vectors, bsam+": ("strategy.name=bsam+", "training.perturb_target=embeddings"),
    "helen": ("strategy.name=helen", "training.perturb_target=embeddings"),
    "pamacf": ("strategy.name=pamacf", "training.perturb_target=embeddings"),
    "sharpcf": ("strategy.name=sharpcf",),
}


class MethodTraining:
    """The training of a model by a method, step by step.

    Args:
        assignments: settings as ``--set`` takes them.
        dataset: the data.
    """

    def __init__(self, assignments: Sequence[str], dataset: Dataset) -> None:
        experiment = Experiment(data=dataset.source or "", device="cpu")
        for text in ("strategy.name=plain", "training.loggers=none", *assignments):
            experiment = changed(experiment, assignment(text))
        experiment = with_defaults(experiment)
        model = build_model(experiment.model, dataset, experiment.seed)
        trainer = Session(experiment, dataset, model, build_strategy(experiment.strategy), log_warnings=False).trainer
        assert trainer is not None
        self.trainer = trainer
        self.trainer.strategy.reset(0)
        self.epoch = 0
        self.batches: list[tuple[Batch, ...]] = []
        self.evaluations = 2 if trainer.average is not None else 1

    def begin(self) -> None:
        """Begin an epoch as the trainer does."""
        trainer = self.trainer
        self.epoch += 1
        trainer.model.train()
        trainer.model.on_epoch_start(seeding.generator(0, "model", self.epoch))
        if trainer.average is not None:
            trainer.average.on_epoch_start(self.epoch)
        stream = seeding.generator(0, "batches", self.epoch)
        batches = trainer.sampler.epoch(stream, trainer.strategy.batches_per_step, trainer.settings.second_batch)
        self.batches = list(batches)[::-1]

    def step(self) -> None:
        """Take a step as the trainer does."""
        trainer, number = self.trainer, self.trainer.steps - len(self.batches) + 1
        batches = self.batches.pop()
        if trainer.learning_rate is not None:
            trainer.learning_rate.set(self.epoch, number, trainer.steps)
        trainer.context.progress = self.epoch - 1 + (number - 1) / trainer.steps
        trainer.strategy.step(trainer.context, *batches)
        if trainer.average is not None:
            trainer.average.on_update()
        trainer.model.on_step_end()

    def steps(self, count: int) -> None:
        """Take so many steps."""
        for _ in range(count):
            self.step()

    def end(self) -> None:
        """End an epoch as the trainer does, without its evaluation."""
        if self.trainer.average is not None:
            self.trainer.average.on_epoch_end(self.epoch)

    def evaluate(self) -> None:
        """Score the model on validation."""
        self.trainer.model.eval()
        self.trainer._validated()
        self.trainer.model.train()


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a method, and those of the plain steps that they were paired with."""

    steps: list[float]
    plain_steps: list[float]
    once: list[float]  # per epoch, without evaluation

    def row(self, training: MethodTraining, plain: Cost, evaluation: float) -> dict[str, Any]:
        """What the table shows."""
        step, low, high = interval([own / other for own, other in zip(self.steps, self.plain_steps, strict=True)])
        n_steps = training.trainer.steps
        epoch = median(self.once) + n_steps * step * median(plain.steps) + training.evaluations * evaluation
        plain_epoch = median(plain.once) + n_steps * median(plain.steps) + evaluation
        return {
            "ms": round(1000 * median(self.steps), 2),
            "plain_ms": round(1000 * median(self.plain_steps), 2),
            "ratio": round(step, 2),
            "range": [round(low, 2), round(high, 2)],
            "epoch_ratio": round(epoch / plain_epoch, 2),
        }


def cpu_seconds(work: Callable[..., None], *arguments: int) -> float:
    """CPU time of a call."""
    started = time.process_time()
    work(*arguments)
    return time.process_time() - started


def measured(every: Mapping[str, MethodTraining], rounds: int, burst: int) -> dict[str, Cost]:
    """Measure all methods in turn, the first of which is plain."""
    costs = {name: Cost([], [], []) for name in every}
    plain = every[PLAIN]
    for number in range(-1, rounds):  # the first round warms up
        for name, training in every.items():
            pair = [("plain", plain), ("own", training)][:: 1 if number % 2 else -1]
            found = {}
            for side, one in pair:
                if len(one.batches) < burst:
                    one.end()
                    one.begin()
                found[side] = cpu_seconds(one.steps, burst) / burst
            if number >= 0:
                costs[name].steps.append(found["own"])
                costs[name].plain_steps.append(found["plain"])
                if number < 5:
                    costs[name].once.append(cpu_seconds(training.end) + cpu_seconds(training.begin))
    return costs


def rows(cell: str, chosen: Sequence[str], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a method."""
    model, _, path = cell.partition("=")
    dataset = load_data(Path(path))
    every = {
        name: MethodTraining((f"model.name={model}", *METHODS.get(name, ())), dataset)
        for name in dict.fromkeys((PLAIN, *chosen))
    }
    for training in every.values():
        training.begin()
    costs = measured(every, given.rounds, given.burst)
    evaluation = median(cpu_seconds(every[PLAIN].evaluate) for _ in range(5))
    for name, training in every.items():
        yield {"model": model, "data": dataset.name, "method": name} | costs[name].row(
            training, costs[PLAIN], evaluation
        )


def profiled(cell: str, name: str) -> str:
    """A table of the operators that take the time of a step."""
    model, _, path = cell.partition("=")
    training = MethodTraining((f"model.name={model}", *METHODS.get(name, ())), load_data(Path(path)))
    training.begin()
    training.steps(3)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        training.steps(10)
    return str(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=50))


def available() -> list[str]:
    """The methods whose strategy is registered."""
    known = {f"strategy.name={name}" for name in strategy_names()}
    return [name for name, words in METHODS.items() if {word for word in words if "strategy.name" in word} <= known]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", required=True, help="model=path,model=path")
    parser.add_argument("--methods", help="names separated by semicolons; default all")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--burst", type=int, default=4, help="steps at a time")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--profile", help="a method")
    given = parser.parse_args(arguments)
    tune_malloc()
    cells = given.cells.split(",")
    if given.profile:
        for cell in cells:
            print(cell, profiled(cell, given.profile), sep="\n")
        return
    chosen = given.methods.split(";") if given.methods else available()
    found = (row for cell in cells for row in rows(cell, chosen, given))
    record(found, given.out, rounds=given.rounds, burst=given.burst)


if __name__ == "__main__":
    main()
