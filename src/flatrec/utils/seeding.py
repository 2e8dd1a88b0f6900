"""Random streams that depend only on (seed, purpose, epoch)."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """Return the 63-bit seed for one purpose in one epoch; it is equal on every machine and in every process.

    The randomness of each epoch is derived from the seed, so a resumed run needs no saved random state.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """Return a CPU generator seeded with :func:`derive_seed`."""
    stream = torch.Generator()
    stream.manual_seed(derive_seed(seed, purpose, epoch))
    return stream
