"""Base optimizers by name: those of torch.optim that work step by step on dense gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flatrec.config import arguments, unknown

# LBFGS wants a closure, SparseAdam sparse gradients; a strategy gives neither.
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
    """An optimizer over the parameters.

    Raises:
        ValueError: as :func:`settings`, or a value that torch refuses.
    """
    values = settings(name, options)
    try:
        return names()[name]([one for one in params if one.requires_grad], **values)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"optimizer {name}: {error}") from None
