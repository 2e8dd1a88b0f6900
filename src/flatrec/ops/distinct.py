"""The different indices among those of a batch, without a size that follows from values."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Distinct(NamedTuple):
    """Indices in increasing order, of which those with weight 1 are all different.

    Args:
        indices: the indices; on the CPU each comes once, elsewhere as often as it was given.
        weights: 1 for the first of equal indices, 0 for the others; None if each comes once.
    """

    indices: Int64[Tensor, "n"]
    weights: Float[Tensor, "n"] | None

    def mean(self, values: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows"]:
        """Return the mean of one value per index, every index counted once."""
        if self.weights is None:
            return values.mean(dim=-1)
        return (values * self.weights).sum(dim=-1) / self.weights.sum()


def distinct(indices: Int64[Tensor, "n"]) -> Distinct:
    """Return the different ones among indices.

    How many there are is known to a device alone, and to ask for it is to wait. Devices other than the CPU keep
    repeated indices and give them no weight.

    Example:
        >>> distinct(torch.tensor([2, 0, 2]))
        Distinct(indices=tensor([0, 2]), weights=None)
    """
    return Distinct(indices.unique(), None) if indices.device.type == "cpu" else weighted(indices)


def weighted(indices: Int64[Tensor, "n"]) -> Distinct:
    """Return what :func:`distinct` returns on other devices than the CPU.

    Example:
        >>> weighted(torch.tensor([2, 0, 2]))
        Distinct(indices=tensor([0, 2, 2]), weights=tensor([1., 1., 0.]))
    """
    ordered = indices.sort().values
    first = torch.ones_like(ordered, dtype=torch.float32)
    first[1:] = ordered[1:] != ordered[:-1]
    return Distinct(ordered, first)
