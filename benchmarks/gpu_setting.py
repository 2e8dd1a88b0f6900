"""What the checks and the times of ``gpu.py`` are taken on, and models in training with equal random numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models import Model
from flatrec.registry.instantiate import build_model, build_strategy
from flatrec.sampling.sampler import Sampler
from flatrec.training import optimizers
from flatrec.training.step_context import Precision, TrainStepContext
from flatrec.utils import devices, seeding

STRATEGIES = ("plain", "bsam+")
N_STEPS = 3
BATCH_SIZE = 2048
RANDOM = {
    "bernoulli", "bernoulli_", "exponential_", "native_dropout", "normal_", "rand", "rand_like", "randint", "randn",
    "randn_like", "randperm", "uniform_",
}  # fmt: skip

Row = Mapping[str, object]


@dataclass(frozen=True)
class Setting:
    """What is measured on, and how large it is.

    Args:
        device: what is compared with the CPU.
        names: the models.
        end: the second of the monotonic clock from which nothing more begins.
        small: whether sizes are small enough for a CPU.
        reference: the folder of the reference numbers.
        mmrec: a clone of MMRec; None if there is none.
    """

    device: torch.device
    names: Sequence[str]
    end: float
    small: bool
    reference: Path
    mmrec: Path | None

    def seconds_left(self) -> float:
        """Return how many seconds are left."""
        return self.end - time.monotonic()

    def out_of_time(self) -> bool:
        """Return True if nothing more may begin."""
        return self.seconds_left() <= 0

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, action: Callable[[], object]) -> float:
        """Return the seconds until the device is done with an action."""
        self.wait()
        started = time.perf_counter()
        action()
        self.wait()
        return time.perf_counter() - started

    def milliseconds(self, action: Callable[[], object]) -> float:
        """Return the milliseconds of an action, by events of the device where it has them."""
        if self.device.type != "cuda":
            return 1000 * self.seconds(action)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        action()
        end.record()
        self.wait()
        return float(begin.elapsed_time(end))

    def begin_peak(self) -> None:
        """Measure the peak of the device's memory from now on."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mb(self) -> float | None:
        """Return the peak of a GPU's memory in MB; None for other devices."""
        return round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1) if self.device.type == "cuda" else None


def each(
    setting: Setting, cases: Iterable[Mapping[str, str]], measure: Callable[..., Mapping[str, object]]
) -> Iterator[Row]:
    """The rows of some cases until the time is over; a case that fails is a row that says so.

    Args:
        setting: what is measured on.
        cases: what each row is of, which are the arguments of ``measure``.
        measure: returns the rest of a row.
    """
    for case in cases:
        if setting.out_of_time():
            return
        try:
            yield {**case, **measure(**case)}
        except Exception as error:  # the cases after it are worth the time that is left
            yield {**case, **failure(error)}


def largest(values: Iterable[float]) -> float:
    """Return the largest number, or infinity if one is NaN, which ``max`` may leave out."""
    return max(math.inf if math.isnan(value) else value for value in values)


def failure(error: Exception) -> Row:
    """What a row says of an error, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return {"skipped": f"it needs {error.name}, which is not installed"}
    return {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def with_strategies(names: Iterable[str]) -> list[dict[str, str]]:
    """Every model with every strategy."""
    return [{"model": name, "strategy": strategy} for name in names for strategy in STRATEGIES]


class DrawnOnTheCPU(TorchDispatchMode):
    """Lets every random number come from the generator of the CPU, so that two devices see the same ones."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if operation.overloadpacket.__name__ not in RANDOM:
            return operation(*args, **kwargs)
        device = kwargs.get("device") or next((one.device for one in args if isinstance(one, torch.Tensor)), None)
        if device is None or torch.device(device).type == "cpu":
            return operation(*args, **kwargs)
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        copies = [one.cpu() if isinstance(one, torch.Tensor) else one for one in args]
        drawn = operation(*copies, **kwargs)
        if operation.overloadpacket.__name__.endswith("_"):
            return args[0].copy_(drawn)
        return tuple(one.to(device) for one in drawn) if isinstance(drawn, tuple) else drawn.to(device)


@dataclass
class Trained:
    """A model in training on a device, with the batches and the graph of an epoch that the CPU draws."""

    name: str
    strategy: str
    dataset: Dataset
    device: torch.device
    precision: Precision = "float32"
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        built = build_model(Component(self.name), self.dataset, seed=0)
        assert isinstance(built, Model)
        built.train()
        built.on_epoch_start(seeding.generator(0, "model", 1))
        self.model = built.to(self.device)
        self.steps = Steps(self.model, self.strategy, self.precision)
        self.sampler = Sampler(self.dataset.interactions, BATCH_SIZE)
        self.epochs = 0
        self.batches: Iterator[tuple[Batch, ...]] = iter(())

    def step(self) -> torch.Tensor:
        """Take a step and return its loss."""
        return self.steps.take(self.next_batches())

    def next_batches(self) -> list[Batch]:
        """The batches of the next step, of a new epoch where this one is over."""
        batches = next(self.batches, None)
        if batches is None:
            self.epochs += 1
            stream = seeding.generator(0, "batches", self.epochs)
            self.batches = self.sampler.epoch(stream, self.steps.strategy.batches_per_step)
            batches = next(self.batches)
        return [moved(batch, self.device) for batch in batches]

    def losses(self, count: int) -> list[float]:
        """The losses of some steps, with random numbers of the CPU."""
        with devices.forked_generators(self.device), DrawnOnTheCPU():
            devices.seed(self.device, 0)
            return [float(self.step()) for _ in range(count)]

    def parameters(self) -> torch.Tensor:
        """All parameters as one vector on the CPU."""
        return torch.cat([one.detach().flatten().cpu() for one in self.model.parameters()])


class Steps:
    """Steps of a strategy on a model that is where it is to be trained."""

    def __init__(self, model: Model, strategy: str, precision: Precision = "float32") -> None:
        self.model = model
        self.strategy = build_strategy(Component(strategy))
        self.strategy.reset(0)
        optimizer = optimizers.make("adam", model.parameters(), optimizers.settings("adam", {}))
        self.context = TrainStepContext(model, optimizer, precision=precision)

    def take(self, batches: Sequence[Batch]) -> torch.Tensor:
        """Take a step and return its loss."""
        loss = self.strategy.step(self.context, *batches)
        self.model.on_step_end()
        return loss


class Epochs:
    """The epochs of a model that is where it is to be trained, whose batches and graphs are drawn as in training."""

    def __init__(self, model: Model, strategy: str, sampler: Sampler) -> None:
        self.model = model.train()
        self.steps = Steps(model, strategy)
        self.sampler = sampler
        self.count = 0
        self.begin()

    def __len__(self) -> int:
        return len(self.sampler)

    def begin(self) -> None:
        """Begin an epoch: its graphs, its permutation, its negatives."""
        self.count += 1
        self.model.on_epoch_start(seeding.generator(0, "model", self.count))
        stream = seeding.generator(0, "batches", self.count)
        epoch = self.sampler.epoch(stream, self.steps.strategy.batches_per_step)
        self.first, self.rest = next(epoch), epoch

    def step(self) -> None:
        """Take a step; an epoch that is over begins again."""
        batches, self.first = self.first, next(self.rest, self.first)
        self.steps.take(batches)

    def take(self, count: int) -> None:
        """Take some steps."""
        for _ in range(count):
            self.step()


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on a device."""
    return batch.with_indices(*(column.to(device) for column in batch.indices))
