"""Normalization layers count each batch once, however often a step calls the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def kept_running_statistics(model: nn.Module | None = None) -> Iterator[None]:
    """Whatever batch-norm layers are called inside the block, their running statistics are afterward as before.

    Args:
        model: whose layers are meant. Without it they are noticed as they are called, by a hook on all modules, which
            torch.compile does not go well with.
    """
    before: dict[Tensor, Tensor] = {}

    def remember(module: nn.Module, inputs: object) -> None:  # noqa: ARG001
        if isinstance(module, _NormBase) and module.training:
            for one in (module.running_mean, module.running_var, module.num_batches_tracked):
                if one is not None and one not in before:
                    before[one] = one.clone()

    for module in model.modules() if model is not None else ():
        remember(module, None)
    handle = register_module_forward_pre_hook(remember) if model is None else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
        with torch.no_grad():
            for one, value in before.items():
                one.copy_(value)
