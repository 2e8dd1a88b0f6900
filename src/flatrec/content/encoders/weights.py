"""What tells one set of weights from another."""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import nn


def digest_of(network: nn.Module) -> str:
    """A digest of all parameters and buffers, by name; equal on every device."""
    digest = blake2b(digest_size=12)
    for name, values in sorted(network.state_dict().items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
