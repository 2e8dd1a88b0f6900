"""Random streams that depend on nothing but (seed, purpose, epoch)."""

from __future__ import annotations

import hashlib

import torch


def number(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed for one purpose in one epoch; equal on every machine and in every process.

    Since each epoch's randomness is derived, not carried along, a resumed run needs no saved random state.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A CPU generator seeded with :func:`number`."""
    stream = torch.Generator()
    stream.manual_seed(number(seed, purpose, epoch))
    return stream
