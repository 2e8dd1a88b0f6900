"""Which operators torch has for which devices."""

from __future__ import annotations

import torch

_KEYS = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU"}  # torch's dispatcher calls devices so


def has_kernel(operator: str, device: str) -> bool:
    """Return True if torch says that it has an operator (``aten::_fused_adam_``) for a kind of device (``cuda``)."""
    query = getattr(torch._C, "_dispatch_has_kernel_for_dispatch_key", None)
    if query is None or device not in _KEYS:
        return False
    try:
        return bool(query(operator, _KEYS[device]))
    except RuntimeError:  # there is no operator of that name
        return False
