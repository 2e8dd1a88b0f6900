"""Whether a device computes what the CPU does: the checks of ``gpu.py``."""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from gpu_setting import N_STEPS, Row, Setting, Trained, each, moved, with_strategies
from torch import Tensor
from torch.overrides import TorchFunctionMode

import flatrec
from flatrec.config import Training
from flatrec.testing import block_dataset
from flatrec.training.step_context import Precision
from flatrec.utils import devices

CLOSE = 1e-4  # largest difference of losses, relative
MOST_WAITS = 1  # of a step, with one update
KINDS: tuple[Precision, ...] = ("bfloat16", "tf32")


class InputsFollow(TorchFunctionMode):
    """Lets stored inputs on the CPU, such as noise, follow the tensors of another device that they are used with."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        devices_ = {one.device for one in args if isinstance(one, Tensor)} - {torch.device("cpu")}
        if len(devices_) == 1 and isinstance(args[0], Tensor):
            (device,) = devices_
            args = [one.to(device) if isinstance(one, Tensor) and one.dim() > 0 else one for one in args]
        return func(*args, **(kwargs or {}))


def reference(setting: Setting) -> Iterator[Row]:
    """Compare what models compute with stored numbers of their releases, as the tests do on the CPU.

    Figures are multiples of the tolerances of the tests.
    """
    found = _adapters(setting)
    if isinstance(found, str):
        yield {"skipped": found}
        return
    stored, adapters, patching = found
    named = [name for name in setting.names if name in adapters]
    paths = {f"{name} {path.parent.name}": path for name in named for path in stored.files(name)}
    cases = [
        {"model": one.partition(" ")[0], "numbers": one, "variant": prefix}
        for one, path in paths.items()
        for prefix in stored.variants(path)
    ]

    def measure(model: str, numbers: str, variant: str) -> Mapping[str, object]:
        with patching() as patch:
            case = stored.Case(paths[numbers], adapters[model])
            case.adapter.prepare(case, variant, patch)
            figures = _errors(case, variant, setting.device)
        of = {"numbers": paths[numbers].parent.name, "variant": variant.strip("/") or "main"}
        return {**of, **figures, "passed": max(figures.values()) <= 1}

    yield from each(setting, cases, measure)
    without = sorted(set(setting.names) - {case["model"] for case in cases})
    if without:
        yield {"model": ", ".join(without), "skipped": "no numbers of this kind; the tests know its answer"}


def _adapters(setting: Setting) -> tuple[Any, Mapping[str, Any], Callable[[], Any]] | str:
    """How models answer to the stored numbers, of the tests; or why there is none."""
    if not list(setting.reference.glob("*/*.npz")):
        return f"no reference numbers in {setting.reference}; name their folder by --reference"
    os.environ["FLATREC_REFERENCE"] = str(setting.reference.resolve())
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        pytest = importlib.import_module("pytest")
        stored = importlib.import_module("tests.models.reference.stored")
        adapters = importlib.import_module("tests.models.reference.test_every_model").ADAPTERS
    except ModuleNotFoundError as error:
        return f"the tests need {error.name}, which is not installed"
    return stored, adapters, pytest.MonkeyPatch.context


def _errors(case: Any, prefix: str, device: torch.device) -> dict[str, float]:
    """The largest errors of representations, scores, losses and gradients, as multiples of their tolerances."""
    there, limits = case.there, case.adapter
    model, batch = case.model.to(device), moved(case.batch, device)
    theirs = prefix if prefix in limits.ranked else ""
    with InputsFollow():
        users, items = model.eval().user_item_embeddings(model.encode())
        encoded = model.train().encode()
        terms, loss = model.loss_terms(encoded, batch), model.loss(encoded, batch)
    names, params = zip(*model.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))
    weights = {name: model.loss_weights[name.partition("/")[0]] for name in terms if name in limits.weighted}
    named = {**limits.terms, **case.renamed}
    losses = {named[name]: value * weights.get(name, 1) for name, value in terms.items()} | {"total": loss}
    outputs = {"user": users, "item": items}
    return {
        "representations": max(
            _gap(one, there[f"{theirs}out/{name}"]) / limits.representation for name, one in outputs.items()
        ),
        "scores": _gap(users @ items.T, there[f"{theirs}out/scores"]) / limits.score,
        "losses": max(
            _relative(value, there[f"{prefix}loss/{name}"]) / limits.rounded.get(name, limits.loss)
            for name, value in losses.items()
            if f"{prefix}loss/{name}" in there
        ),
        "gradients": max(
            _distance(place.of(gradients), there.get(f"{prefix}grad/{name}")) / limits.gradient
            for name, place in case.places.items()
        ),
    }


def _gap(ours: Tensor, theirs: Any) -> float:
    return float((ours.detach().cpu() - torch.from_numpy(theirs)).abs().max())


def _relative(ours: Tensor, theirs: Any) -> float:
    return abs(float(ours.detach()) - float(theirs)) / max(abs(float(theirs)), 1e-6)


def _distance(ours: Tensor, theirs: Any) -> float:
    """The norm of the difference, relative; what the release does not train has no stored gradient, which is zero."""
    own = ours.cpu()
    other = torch.zeros_like(own) if theirs is None else torch.from_numpy(theirs).view_as(own)
    return float((own - other).norm() / other.norm().clamp_min(1e-3))


def losses(setting: Setting) -> Iterator[Row]:
    """Compare losses and parameters with those of the CPU, over the same batches, graphs and masks."""
    dataset = block_dataset()

    def measure(model: str, strategy: str) -> Mapping[str, object]:
        here, there = (Trained(model, strategy, dataset, one) for one in (torch.device("cpu"), setting.device))
        expected, found = here.losses(N_STEPS), there.losses(N_STEPS)
        worst = max(abs(one - other) / max(abs(other), 1e-12) for one, other in zip(found, expected, strict=True))
        weights, others = there.parameters(), here.parameters()
        of_weights = float((weights - others).abs().max() / others.abs().max())
        return {"loss": worst, "parameters": of_weights, "passed": worst <= CLOSE}

    yield from each(setting, with_strategies(setting.names), measure)


def waits(setting: Setting) -> Iterator[Row]:
    """Count how often a step waits, as torch reports it."""
    if setting.device.type != "cuda":
        yield {"skipped": "only CUDA says when it is waited for"}
        return

    def measure(model: str, strategy: str) -> Mapping[str, object]:
        trained = Trained(model, strategy, block_dataset(), setting.device)
        trained.step()
        batches = trained.next_batches()
        setting.wait()
        with warnings.catch_warnings(record=True) as heard, said_when_waiting():
            warnings.simplefilter("always")
            for _ in range(N_STEPS):
                trained.steps.take(batches)
        found = sum("synchroniz" in str(one.message) for one in heard) / N_STEPS
        return {"waits": round(found, 2), "passed": found <= MOST_WAITS}

    yield from each(setting, with_strategies(setting.names), measure)


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
        training = Training(epochs=epochs, deterministic=True, tensorboard=False, monitor="recall@5")
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
