"""How often each index occurs."""

from __future__ import annotations

import torch
from torch import Tensor


def counts(indices: Tensor, n_all: int) -> Tensor:
    """Return how often each of ``n_all`` indices occurs.

    ``torch.bincount`` waits for a device, as the largest index might ask for a longer result; nor can
    compiled code know its size.

    Example:
        >>> counts(torch.tensor([2, 0, 2]), 4).tolist()
        [1, 0, 2, 0]
    """
    if indices.device.type == "cpu" and not torch.compiler.is_compiling():
        return indices.bincount(minlength=n_all)
    return torch.zeros(n_all, dtype=torch.int64, device=indices.device).index_add_(0, indices, torch.ones_like(indices))
