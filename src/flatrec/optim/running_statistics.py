"""Normalization layers count each batch once, however often a step calls the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@contextmanager
def kept_running_statistics(model: nn.Module | None = None) -> Iterator[None]:
    """Context manager after which all batch-norm layers that were called have their running statistics of before.

    Args:
        model: whose layers are meant. Without it they are noticed as they are called, by a hook on all modules, which
            does not work inside code that went through torch.compile.
    """
    before: dict[Tensor, Tensor] = {}

    def remember(module: nn.Module, _inputs: object) -> None:
        if module.training:
            for name, statistic in module.named_buffers(recurse=False):
                if name in _STATISTICS and statistic not in before:
                    before[statistic] = statistic.clone()

    for module in model.modules() if model is not None else ():
        remember(module, None)
    handle = register_module_forward_pre_hook(remember) if model is None else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
        with torch.no_grad():
            for statistic, value in before.items():
                statistic.copy_(value)
