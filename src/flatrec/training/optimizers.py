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

# LBFGS needs a closure, SparseAdam sparse gradients; a strategy provides neither.
_UNSUITABLE = {"Optimizer", "LBFGS", "SparseAdam"}


def names() -> dict[str, type[Optimizer]]:
    """Return every suitable optimizer of the installed torch, by lower-case name."""
    classes = {name: one for name, one in vars(torch.optim).items() if inspect.isclass(one)}
    return {
        name.lower(): one
        for name, one in sorted(classes.items())
        if issubclass(one, Optimizer) and name not in _UNSUITABLE
    }


def settings(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of an optimizer: the options, checked, and torch's defaults of the others.

    ``fused`` is on if the optimizer has it and the options do not say otherwise: the same update in one pass over
    memory, about nine times faster on a CPU.

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
            "not need; leave it out"
        )
    if "fused" in values and not {"fused", "foreach", "differentiable"} & set(options):
        values["fused"] = True
    return values


def make(name: str, params: Iterable[nn.Parameter], options: Mapping[str, Any]) -> Optimizer:
    """Return an optimizer over the parameters; its update is fused only if torch can do so on their device.

    Raises:
        ValueError: as :func:`settings`, or a value that torch refuses.
    """
    values = settings(name, options)
    trained = [parameter for parameter in params if parameter.requires_grad]
    if values.get("fused") and not all(
        has_kernel(f"aten::_fused_{name}_", kind) for kind in {parameter.device.type for parameter in trained}
    ):
        values["fused"] = False
    try:
        return names()[name](trained, **values)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"optimizer {name}: {error}") from None
