"""Whether a device computes what the CPU does: the checks of ``gpu.py``."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from gpu_setting import BATCH_SIZE, N_STEPS, Epochs, Row, Setting, Trained, each, largest, with_strategies

import flatrec
from flatrec.config import Training
from flatrec.sampling.sampler import Sampler
from flatrec.testing import block_dataset
from flatrec.training.step_context import Precision
from flatrec.utils import devices

CLOSE = 1e-4  # largest difference of losses, relative
MOST_WAITS = 1  # of a step, with one update
KINDS: tuple[Precision, ...] = ("bfloat16", "tf32")


def losses(setting: Setting) -> Iterator[Row]:
    """Compare losses and parameters with those of the CPU, over the same batches, graphs and masks."""
    dataset = block_dataset()

    def measure(model: str, strategy: str) -> Mapping[str, object]:
        here, there = (Trained(model, strategy, dataset, one) for one in (torch.device("cpu"), setting.device))
        expected, found = here.losses(N_STEPS), there.losses(N_STEPS)
        worst = largest(abs(one - other) / max(abs(other), 1e-12) for one, other in zip(found, expected, strict=True))
        weights, others = there.parameters(), here.parameters()
        of_weights = float((weights - others).abs().max() / others.abs().max())
        return {"loss": worst, "parameters": of_weights, "passed": worst <= CLOSE}

    yield from each(setting, with_strategies(setting.names), measure)


def waits(setting: Setting) -> Iterator[Row]:
    """Count how often a step waits, as torch reports it."""
    if setting.device.type != "cuda":
        yield {"skipped": "only CUDA says when it is waited for"}
        return
    dataset = block_dataset()

    def measure(model: str, strategy: str) -> Mapping[str, object]:
        trained = Trained(model, strategy, dataset, setting.device)
        epochs = Epochs(trained.model, strategy, Sampler(dataset.interactions, BATCH_SIZE, setting.device))
        epochs.step()
        found = waits_of(epochs.step, setting)
        return {"waits": found, "epoch start waits": waits_of(epochs.begin, setting), "passed": found <= MOST_WAITS}

    yield from each(setting, with_strategies(setting.names), measure)


def waits_of(action: Callable[[], object], setting: Setting) -> float:
    """How often an action waits, on average."""
    setting.wait()
    with warnings.catch_warnings(record=True) as heard, said_when_waiting():
        warnings.simplefilter("always")
        for _ in range(N_STEPS):
            action()
    return round(sum("synchroniz" in str(one.message) for one in heard) / N_STEPS, 2)


@contextmanager
def said_when_waiting() -> Iterator[None]:
    """Let torch warn of every operation that waits."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def resume(setting: Setting) -> Iterator[Row]:
    """Compare a run in one piece with one that was interrupted: equal bits."""

    def measure(model: str) -> Mapping[str, object]:
        with TemporaryDirectory() as folder:
            whole, halves = (_fit(model, setting, Path(folder) / one) for one in ("whole", "halves"))
            whole(3)
            halves(2)
            halves(3)
            paths = [Path(folder) / one / "epochs.jsonl" for one in ("whole", "halves")]
            lines = [[_timeless(line) for line in path.read_text().splitlines()] for path in paths]
        return {"passed": lines[0] == lines[1] and len(lines[0]) == 3}

    yield from each(setting, [{"model": name} for name in ("lightgcn", "freedom", "dualgnn", "lattice")], measure)


def _fit(name: str, setting: Setting, out: Path) -> Callable[[int], object]:
    def fit(epochs: int) -> object:
        training = Training(epochs=epochs, deterministic=True, loggers=(), monitor="recall@5")
        return flatrec.fit(
            block_dataset(), name, "bsam", training=training, device=str(setting.device), out=out, resume=out.exists()
        )

    return fit


def _timeless(line: str) -> dict[str, object]:
    """What a line says of the numbers of an epoch, not of its times."""
    known = json.loads(line)
    return {name: known[name] for name in ("epoch", "loss", "valid", "diagnostics")}


def precision(setting: Setting) -> Iterator[Row]:
    """Compare losses of lower precisions with those of float32, relative; there is no limit to pass."""
    dataset = block_dataset()

    def measure(model: str) -> Mapping[str, object]:
        (expected,) = Trained(model, "plain", dataset, setting.device).losses(1)
        row: dict[str, object] = {}
        for kind in KINDS:
            with devices.numerics(setting.device, tf32=kind == "tf32"):
                (found,) = Trained(model, "plain", dataset, setting.device, kind).losses(1)
            row[kind] = abs(found - expected) / max(abs(expected), 1e-12)
        return row

    yield from each(setting, [{"model": name} for name in setting.names], measure)
