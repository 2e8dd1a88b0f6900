"""Whether a device computes what the CPU does, and how fast: checks and times in one run of at most six minutes.

    OMP_NUM_THREADS=2 python benchmarks/gpu.py --device cuda --out gpu.json
    OMP_NUM_THREADS=1 python benchmarks/gpu.py --device cpu --small

Parts, the most important first; what does not fit into the time, or fails, says so and the next part begins.

- ``losses``: every model with the strategies plain and bsam+, three steps on the CPU and three on the device, with the
  same batches; random numbers are drawn on the CPU and copied. The largest relative difference of the losses and that
  of the parameters, relative to the largest parameter.
- ``waits``: how often a step waits for the device, as torch reports it.
- ``resume``: three epochs at once, and two epochs with a third one after a resume, deterministic: equal bits.
- ``precision``: the loss of every model under bfloat16 and TF32, relative to float32.
- ``steps``: milliseconds of a step, by events of the device, and the peak of its memory, at the size of Amazon Baby.
- ``ranking``: lists of many users over many items, in blocks.
- ``large``: a step of LightGCN with many interactions.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from random_pairs import random_dataset
from results import record
from scipy import sparse
from torch.utils._python_dispatch import TorchDispatchMode

import flatrec
from flatrec.config import Component, Training
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.evaluation.ranking import inner_product, rank
from flatrec.models import MODELS, Model
from flatrec.registry.instantiate import build_model, build_strategy
from flatrec.sampling.sampler import Sampler
from flatrec.testing import block_dataset
from flatrec.training import optimizers
from flatrec.training.step_context import Precision, TrainStepContext
from flatrec.utils import devices, seeding

SECONDS = 360.0
WITH_GROUPS = ("aligngroup",)  # refuses data without groups
STRATEGIES = ("plain", "bsam+")
N_STEPS = 3
CLOSE = 1e-4  # largest difference of losses, relative
RANDOM = {
    "bernoulli", "bernoulli_", "exponential_", "native_dropout", "normal_", "rand", "rand_like", "randint", "randn",
    "randn_like", "randperm", "uniform_",
}  # fmt: skip


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
    """A model in training on a device."""

    name: str
    strategy: str
    dataset: Dataset
    device: torch.device
    precision: Precision = "float32"
    batch_size: int = 2048
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        built = build_model(Component(self.name), self.dataset, seed=0)
        assert isinstance(built, Model)
        built.train()
        built.on_epoch_start(seeding.generator(0, "model", 1))
        self.model = built.to(self.device)
        self.made = build_strategy(Component(self.strategy))
        self.made.reset(0)
        self.context = TrainStepContext(
            self.model, optimizers.make("adam", self.model.parameters(), {}), precision=self.precision
        )
        sampler = Sampler(self.dataset.interactions, self.batch_size, device=self.device)
        self.batches: Iterator[tuple[Batch, ...]] = sampler.epoch(
            seeding.generator(0, "batches", 1), self.made.batches_per_step
        )

    def step(self) -> torch.Tensor:
        """Take a step and return its loss."""
        batches = next(self.batches, None)
        if batches is None:
            sampler = Sampler(self.dataset.interactions, self.batch_size, device=self.device)
            self.batches = sampler.epoch(seeding.generator(0, "batches", 2), self.made.batches_per_step)
            batches = next(self.batches)
        loss = self.made.step(self.context, *batches)
        self.model.on_step_end()
        return loss

    def losses(self, count: int) -> list[float]:
        """The losses of some steps, with random numbers of the CPU."""
        with devices.forked_generators(self.device), DrawnOnTheCPU():
            devices.seed(self.device, 0)
            return [float(self.step()) for _ in range(count)]

    def parameters(self) -> torch.Tensor:
        """All parameters as one vector on the CPU."""
        return torch.cat([one.detach().flatten().cpu() for one in self.model.parameters()])


@dataclass(frozen=True)
class Setting:
    """What is measured on, and how large it is."""

    device: torch.device
    names: Sequence[str]
    end: float
    small: bool

    def out_of_time(self) -> bool:
        """Return True if no part may begin any more."""
        return time.monotonic() > self.end

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


Row = Mapping[str, object]


def losses(setting: Setting) -> Iterator[Row]:
    """Compare losses and parameters with those of the CPU."""
    dataset = block_dataset()
    for name in setting.names:
        for strategy in STRATEGIES:
            here, there = (Trained(name, strategy, dataset, one) for one in (torch.device("cpu"), setting.device))
            expected, found = here.losses(N_STEPS), there.losses(N_STEPS)
            worst = max(abs(one - other) / max(abs(other), 1e-12) for one, other in zip(found, expected, strict=True))
            weights, others = there.parameters(), here.parameters()
            of_weights = float((weights - others).abs().max() / others.abs().max())
            yield {
                "model": name, "strategy": strategy, "loss": worst, "parameters": of_weights, "passed": worst <= CLOSE
            }  # fmt: skip
            if setting.out_of_time():
                return


def waits(setting: Setting) -> Iterator[Row]:
    """Count how often a step waits."""
    if setting.device.type != "cuda":
        yield {"skipped": "only CUDA says when it is waited for"}
        return
    for name in setting.names:
        for strategy in STRATEGIES:
            trained = Trained(name, strategy, block_dataset(), setting.device)
            trained.step()
            setting.wait()
            with warnings.catch_warnings(record=True) as heard, said_when_waiting():
                warnings.simplefilter("always")
                for _ in range(N_STEPS):
                    trained.step()
            found = sum("synchroniz" in str(one.message) for one in heard)
            yield {"model": name, "strategy": strategy, "waits a step": round(found / N_STEPS, 2)}


@contextmanager
def said_when_waiting() -> Iterator[None]:
    """Let torch warn of every operation that waits."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def resume(setting: Setting) -> Iterator[Row]:
    """Compare a run in one piece with one that was interrupted."""
    for name in ("lightgcn", "freedom"):
        with TemporaryDirectory() as folder:
            whole, halves = (_fit(name, setting, Path(folder) / one) for one in ("whole", "halves"))
            whole(3)
            halves(2)
            halves(3)
            paths = [Path(folder) / one / "epochs.jsonl" for one in ("whole", "halves")]
            lines = [[_timeless(line) for line in path.read_text().splitlines()] for path in paths]
        yield {"model": name, "passed": lines[0] == lines[1] and len(lines[0]) > 0}


def _fit(name: str, setting: Setting, out: Path) -> Callable[[int], object]:
    def fit(epochs: int) -> object:
        training = Training(epochs=epochs, deterministic=True, tensorboard=False)
        return flatrec.fit(
            block_dataset(), name, "bsam", training=training, device=str(setting.device), out=out, resume=out.exists()
        )

    return fit


def _timeless(line: str) -> dict[str, object]:
    """What a line says of the numbers of an epoch, not of its times."""
    known = json.loads(line)
    return {name: known[name] for name in ("epoch", "loss", "valid", "diagnostics")}


def precision(setting: Setting) -> Iterator[Row]:
    """Compare losses of lower precisions with those of float32."""
    dataset = block_dataset()
    for name in setting.names:
        row: dict[str, object] = {"model": name}
        (expected,) = Trained(name, "plain", dataset, setting.device).losses(1)
        for kind in ("bfloat16", "tf32"):
            with devices.numerics(setting.device, tf32=kind == "tf32"):
                (found,) = Trained(name, "plain", dataset, setting.device, kind).losses(1)
            row[kind] = abs(found - expected) / max(abs(expected), 1e-12)
        yield row


def steps(setting: Setting) -> Iterator[Row]:
    """Time steps at the size of Baby, or of a tenth of it."""
    scale = 10 if setting.small else 1
    dataset = with_features(random_dataset(19_445 // scale, 7_050 // scale, 120_000 // scale), setting.small)
    for name in setting.names:
        for strategy in STRATEGIES:
            devices_peak(setting.device, begin=True)
            trained = Trained(name, strategy, dataset, setting.device)
            times = [timed(trained.step, setting) for _ in range(3 + 7)][3:]
            yield {
                "model": name, "strategy": strategy, "ms": round(median(times), 2),
                "peak MB": devices_peak(setting.device),
            }  # fmt: skip
            if setting.out_of_time():
                return


def timed(action: Callable[[], object], setting: Setting) -> float:
    """Milliseconds of an action, by events of the device where it has them."""
    if setting.device.type != "cuda":
        started = time.perf_counter()
        action()
        return 1000 * (time.perf_counter() - started)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    action()
    end.record()
    setting.wait()
    return float(begin.elapsed_time(end))


def devices_peak(device: torch.device, *, begin: bool = False) -> float | None:
    """The peak of a GPU's memory in MB since it was last begun to be measured."""
    if device.type != "cuda":
        return None
    if begin:
        torch.cuda.reset_peak_memory_stats(device)
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)


def with_features(dataset: Dataset, small: bool) -> Dataset:
    """Random images and texts beside the interactions."""
    stream, widths = np.random.default_rng(0), {"image": 64 if small else 4096, "text": 32 if small else 384}
    count = dataset.interactions.n_items
    drawn = {name: stream.standard_normal((count, width), dtype=np.float32) for name, width in widths.items()}
    found = {name: Features(values, np.ones(count, dtype=np.bool_)) for name, values in drawn.items()}
    return dataset.with_features(found)


def ranking(setting: Setting) -> Iterator[Row]:
    """Time lists of twenty items for many users."""
    n_users, n_items = (2_000, 3_000) if setting.small else (1_000_000, 100_000)
    stream = torch.Generator().manual_seed(0)
    users, items = (torch.randn(count, 64, generator=stream).to(setting.device) for count in (n_users, n_items))
    seen = sparse.csr_array((n_users, n_items), dtype="float32")
    chosen = torch.arange(n_users)
    setting.wait()
    started = time.perf_counter()
    rank(inner_product(users, items), chosen, 20, seen)
    yield {"users": n_users, "items": n_items, "seconds": round(time.perf_counter() - started, 2)}


def large(setting: Setting) -> Iterator[Row]:
    """Time a step of LightGCN over many interactions."""
    sizes = (2_000, 1_000, 50_000) if setting.small else (1_000_000, 200_000, 20_000_000)
    dataset = random_dataset(*sizes)
    for strategy in STRATEGIES:
        devices_peak(setting.device, begin=True)
        trained = Trained("lightgcn", strategy, dataset, setting.device)
        times = [timed(trained.step, setting) for _ in range(2 + 5)][2:]
        yield {
            "interactions": sizes[2], "strategy": strategy, "ms": round(median(times), 2),
            "peak MB": devices_peak(setting.device),
        }  # fmt: skip


PARTS: tuple[Callable[[Setting], Iterator[Row]], ...] = (losses, waits, resume, precision, steps, ranking, large)


def rows(setting: Setting) -> Iterator[Row]:
    """The rows of all parts; a part that fails is a row that says so."""
    for part in PARTS:
        name = part.__name__
        if setting.out_of_time():
            yield {"part": name, "skipped": "the time is over"}
            continue
        started, found = time.monotonic(), iter(part(setting))
        while True:
            try:
                row = next(found)
            except StopIteration:
                break
            except Exception as error:  # the parts after it are worth the time that is left
                yield {"part": name, "failed": f"{type(error).__name__}: {error}"[:300]}
                break
            yield {"part": name, **row}
        yield {"part": name, "seconds": round(time.monotonic() - started, 1)}


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", default=",".join(name for name in MODELS if name not in WITH_GROUPS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device = devices.choose(given.device)
    known = [name for name in given.models.split(",") if issubclass(MODELS[name], Model)]
    setting = Setting(device, known, time.monotonic() + given.seconds, given.small)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    record(rows(setting), given.out, device=name)


if __name__ == "__main__":
    main()
