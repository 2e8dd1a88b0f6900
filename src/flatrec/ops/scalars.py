"""Scalars that a computation has made: read where that is free, and left where the processor would have to wait.

To read a scalar of a GPU is to wait for everything that the GPU has still to do. Steps of training therefore go on with
the tensor there. Needs torch alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

Scalar: TypeAlias = Tensor | float


def at_hand(scalar: Scalar) -> Scalar:
    """Return a scalar as a number if it is on the CPU, and as the tensor that it is on any other device.

    Example:
        >>> at_hand(torch.tensor(0.5)), at_hand(torch.zeros((), device="meta")).device.type
        (0.5, 'meta')
    """
    return float(scalar) if not isinstance(scalar, Tensor) or scalar.device.type == "cpu" else scalar


def known_zero(scalar: Scalar) -> bool:
    """Return True if a scalar is zero and can be read for free."""
    known = at_hand(scalar)
    return not isinstance(known, Tensor) and known == 0


def quotient(numerator: Scalar, denominator: Tensor) -> Tensor:
    """Divide a scalar by one that is not negative; the result is 0 where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, torch.zeros_like(denominator))


def add_scaled(x: Tensor, y: Tensor, factor: Scalar, *, out: Tensor | None = None) -> Tensor:
    """Return ``x + factor * y``, in one pass over memory whatever the factor is."""
    known = at_hand(factor)
    if isinstance(known, Tensor):
        return torch.addcmul(x, y, known.to(x.dtype), out=out)
    return torch.add(x, y, alpha=known, out=out)
