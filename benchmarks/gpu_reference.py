"""What models compute on a device against stored numbers of their releases, for ``gpu.py``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from gpu_setting import Row, Setting, each, largest, moved
from torch import Tensor
from torch.overrides import TorchFunctionMode

from flatrec.data.batches import Batch
from flatrec.models import Model

OF_GROUPS = "aligngroup"


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
    stored, adapters, groups, patching = found
    paths = {f"{name} {path.parent.name}": path for name in setting.names for path in stored.files(name)}
    cases = [
        {"model": one.partition(" ")[0], "numbers": one, "variant": prefix}
        for one, path in paths.items()
        for prefix in stored.variants(path)
    ]

    def measure(model: str, numbers: str, variant: str) -> Mapping[str, object]:
        of = {"numbers": paths[numbers].parent.name, "variant": variant.strip("/") or "main"}
        if model == OF_GROUPS:
            figures = _errors_of_groups(groups.case_of(paths[numbers], variant), setting.device)
            return {**of, **figures, "passed": largest(figures.values()) <= 1}
        with patching() as patch:
            case = stored.Case(paths[numbers], adapters[model])
            case.adapter.prepare(case, variant, patch)
            figures = _errors(case, variant, setting.device)
        return {**of, **figures, "passed": largest(figures.values()) <= 1}

    yield from each(setting, cases, measure)
    without = sorted(set(setting.names) - {case["model"] for case in cases})
    if without:
        yield {"model": ", ".join(without), "skipped": "no numbers of this kind; the tests know its answer"}


def _adapters(setting: Setting) -> tuple[Any, Mapping[str, Any], Any, Callable[[], Any]] | str:
    """How models answer to the stored numbers, of the tests; or why there is none."""
    if not list(setting.reference.glob("*/*.npz")):
        return f"no reference numbers in {setting.reference}; name their folder by --reference"
    os.environ["FLATREC_REFERENCE"] = str(setting.reference.resolve())
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        pytest = importlib.import_module("pytest")
        stored = importlib.import_module("tests.models.reference.stored")
        adapters = importlib.import_module("tests.models.reference.test_every_model").ADAPTERS
        groups = importlib.import_module("tests.models.test_aligngroup")
    except ModuleNotFoundError as error:
        return f"the tests need {error.name}, which is not installed"
    return stored, adapters, groups, pytest.MonkeyPatch.context


def _errors(case: Any, prefix: str, device: torch.device) -> dict[str, float]:
    """The largest errors of representations, scores, losses and gradients, as multiples of their tolerances."""
    there, limits = case.there, case.adapter
    model, batch = case.model.to(device), moved(case.batch, device)
    theirs = prefix if prefix in limits.ranked else ""
    users, items, terms, loss, gradients = computed(model, batch)
    weights = {name: model.loss_weights[name.partition("/")[0]] for name in terms if name in limits.weighted}
    named = {**limits.terms, **case.renamed}
    losses = {named[name]: value * weights.get(name, 1) for name, value in terms.items()} | {"total": loss}
    outputs = {"user": users, "item": items}
    return {
        "representations": largest(
            _gap(one, there[f"{theirs}out/{name}"]) / limits.representation for name, one in outputs.items()
        ),
        "scores": _gap(users @ items.T, there[f"{theirs}out/scores"]) / limits.score,
        "losses": largest(
            _relative(value, there[f"{prefix}loss/{name}"]) / limits.rounded.get(name, limits.loss)
            for name, value in losses.items()
            if f"{prefix}loss/{name}" in there
        ),
        "gradients": largest(
            _distance(place.of(gradients), there.get(f"{prefix}grad/{name}")) / limits.gradient
            for name, place in case.places.items()
        ),
    }


def computed(model: Model, batch: Batch) -> tuple[Tensor, Tensor, Mapping[str, Tensor], Tensor, Mapping[str, Tensor]]:
    """User and item vectors in evaluation, terms of the loss, the loss, and the gradient of every parameter."""
    with InputsFollow():
        users, items = model.eval().user_item_embeddings(model.encode())
        encoded = model.train().encode()
        terms, loss = model.loss_terms(encoded, batch), model.loss(encoded, batch)
    return users, items, terms, loss, gradients_of(model, loss)


def gradients_of(model: Model, loss: Tensor) -> Mapping[str, Tensor]:
    """The gradient of every parameter, zeros where the loss does not reach it."""
    names, params = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))


def _errors_of_groups(case: Any, device: torch.device) -> dict[str, float]:
    """The same of the model for groups, whose numbers have a form of their own."""
    there, dataset = case.there, case.dataset
    model, batch = case.model.to(device), moved(case.batch, device)
    aux = {name: one.detach().cpu() for name, one in model.eval().encode().aux.items()}
    outputs = {"user": aux["nodes"][dataset.groups.person_indices], "item": aux["nodes"][dataset.n_users :]}
    outputs["group"] = aux["groups"]
    loss = model.train().loss(model.encode(), batch)
    gradients = gradients_of(model, loss)
    return {
        "representations": largest(_gap(one, there[f"out/{name}"]) / 1e-6 for name, one in outputs.items()),
        "losses": _relative(loss, there[f"{case.prefix}loss/total"]) / 2e-6,
        "gradients": largest(
            _distance(place.of(gradients), there.get(f"{case.prefix}grad/{name}")) / 2e-4
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
