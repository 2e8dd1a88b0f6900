"""Base optimizers by name: those of torch.optim that work step by step on dense gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flatrec.config import arguments
from flatrec.ops.dispatch import has_kernel
from flatrec.utils.messages import unknown

# LBFGS wants a closure, SparseAdam sparse gradients; a strategy gives neither.
_KEYS = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU"}  # torch's dispatcher calls devices so
_UNFIT = {"Optimizer", "LBFGS", "SparseAdam"}


def names() -> dict[str, type[Optimizer]]:
    """Every fitting optimizer of the installed torch, by lower-case name."""
    classes = {name: one for name, one in vars(torch.optim).items() if inspect.isclass(one)}
    return {
        name.lower(): one for name, one in sorted(classes.items()) if issubclass(one, Optimizer) and name not in _UNFIT
    }


def settings(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of an optimizer, the given ones checked, the others at torch's defaults.

    ``fused`` is on where the optimizer has it and nothing else is asked for: the same update in one pass over
    memory, some nine times faster on a CPU.

    Raises:
        ValueError: no such optimizer, an unknown option or a value of the wrong type.
    """
    known = names()
    if name not in known:
        raise ValueError(unknown("optimizer", name, list(known)))
    values = arguments(known[name], options, "optimizer", given=1)
    if values.get("differentiable"):
        raise ValueError(
            "optimizer.differentiable must be false: it is for gradients of the steps themselves, which training does "
            "not take; leave it out"
        )
    if "fused" in values and not {"fused", "foreach", "differentiable"} & set(options):
        values["fused"] = True
    return values


def make(name: str, params: Iterable[nn.Parameter], options: Mapping[str, Any]) -> Optimizer:
    """An optimizer over the parameters; where torch cannot fuse its update on their device, it is not fused.

    Raises:
        ValueError: as :func:`settings`, or a value that torch refuses.
    """
    values = settings(name, options)
    trained = [one for one in params if one.requires_grad]
    if values.get("fused") and not all(_has_fused(name, kind) for kind in {one.device.type for one in trained}):
        values["fused"] = False
    try:
        return names()[name](trained, **values)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"optimizer {name}: {error}") from None


def _has_fused(name: str, device: str) -> bool:
    """Whether this torch has the fused update for a kind of device; that of Adagrad came to GPUs late."""
    if device not in _KEYS:
        return False
    return has_kernel(f"aten::_fused_{name}_", _KEYS[device])
