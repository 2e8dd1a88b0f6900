"""Algebra on vectors that are lists of tensors, one tensor per parameter.

Sums over entries are those over all columns, where processes share them; see :mod:`flatrec.ops.columns`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from flatrec.ops.columns import column_norm, column_sum, column_sums, n_all_columns
from flatrec.ops.foreach import foreach
from flatrec.ops.row_vector import aligned_values, stored_values
from flatrec.ops.scalars import Scalar, add_scaled, at_hand, quotient

Vector: TypeAlias = Sequence[Tensor]

BLOCK_ENTRIES = 2**16  # 256 KB: a few blocks stay in the cache of one core together


def dot(x: Vector, y: Vector) -> Tensor:
    """Return the inner product, a scalar tensor."""
    return column_sum(torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in aligned_values(x, y)]).sum())


def norm(x: Vector) -> Tensor:
    """Return the Euclidean norm over all entries, a scalar tensor."""
    return column_norm(torch.linalg.vector_norm(torch.stack(foreach("norm", stored_values(x)))))


def n_entries(x: Vector) -> int:
    """Return the number of entries."""
    return n_all_columns(sum(tensor.numel() for tensor in x))


def times(x: Vector, factor: Vector | Tensor | float) -> list[Tensor]:
    """Return the product with a vector, entry by entry, or with a scalar."""
    return foreach("mul", x, factor)


def plus_scaled(x: Vector, y: Vector, factor: Scalar) -> list[Tensor]:
    """Return the sum ``x + factor * y``."""
    known = at_hand(factor)
    return [add_scaled(a, b, known) for a, b in zip(x, y, strict=True)]


def blend(x: Vector, y: Vector, weight: float) -> list[Tensor]:
    """Return ``weight * x + (1 - weight) * y``; exactly ``x`` at weight 1 and exactly ``y`` at weight 0."""
    return foreach("lerp", y, x, weight)


def lerp_(x: Vector, y: Vector, weight: float) -> None:
    """Turn ``x`` into ``weight * y + (1 - weight) * x``, in place."""
    foreach("lerp_", x, y, weight)


def lerp_into(x: Vector, y: Vector, weight: float, *, into: Vector) -> None:
    """Write ``weight * y + (1 - weight) * x`` into ``into``."""
    for a, b, out in zip(x, y, into, strict=True):
        torch.lerp(a, b, weight, out=out)


class PairStats(NamedTuple):
    """Scalars that compare a vector ``x`` with another one, ``y``."""

    dot: Tensor
    square: Tensor  # squared length of x
    other_square: Tensor  # squared length of y
    manhattan: Tensor
    euclidean_square: Tensor

    @property
    def cosine(self) -> Tensor:
        """Cosine of the angle between the vectors; 0 if either is zero."""
        return quotient(self.dot, (self.square * self.other_square).sqrt())


def ema_update(mean: Vector, y: Vector, weight: float, *, into: Vector | None = None) -> PairStats:
    """Move a running mean toward ``y`` as :func:`lerp_into` does, and compare the new mean (x) with ``y`` on the way.

    ``mean`` and ``into`` are contiguous; without ``into``, ``mean`` is updated in place.
    """
    rows = []
    blocks = _blocks(mean, y, mean if into is None else into)
    for (start, b, out), scratch in zip(blocks, _scratch(mean), strict=True):
        a = torch.lerp(start, b, weight, out=out)
        gap = torch.sub(b, a, out=scratch)
        squares = torch.dot(a, a), torch.dot(b, b), torch.dot(gap, gap)
        rows.append((torch.dot(a, b), *squares, gap.abs_().sum()))
    dot, square, other_square, euclidean_square, manhattan = _column_sums(rows)
    return PairStats(dot, square, other_square, manhattan, euclidean_square)


def plus_scaled_into(out: Vector, x: Vector, y: Vector, factor: Scalar) -> tuple[Tensor, Tensor]:
    """Write ``x + factor * y`` into ``out``, which is contiguous, and return its length and its product with ``x``."""
    rows, known = [], at_hand(factor)
    for result, a, b in _blocks(out, x, y):
        add_scaled(a, b, known, out=result)
        rows.append((torch.dot(result, result), torch.dot(result, a)))
    square, product = _column_sums(rows)
    return square.sqrt(), product


def cosine(x: Vector, y: Vector, length: Tensor | None = None) -> Tensor:
    """Return the cosine of the angle between two vectors; 0 if either is zero.

    ``length`` is the norm of ``x``, if it is known: computing a norm is a pass over all parameters.
    """
    lengths = (norm(x) if length is None else length) * norm(y)
    return quotient(dot(x, y), lengths)


def unshared(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy if it is a view of another tensor's memory."""
    return tensor.clone() if tensor._is_view() else tensor


def _blocks(*vectors: Vector) -> Iterator[tuple[Tensor, ...]]:
    """Yield corresponding blocks that stay in the cache, so that several operations cost a single trip to memory."""
    for tensors in zip(*vectors, strict=True):
        size = _block_size(tensors[0])
        yield from zip(*(tensor.flatten().split(size) for tensor in tensors), strict=True)


def _scratch(x: Vector) -> Iterator[Tensor]:
    """Yield memory for each block's result; it is reused, because fresh memory is slower than the work on it."""
    for tensor in x:
        size = _block_size(tensor)
        memory = tensor.new_empty(min(size, tensor.numel()))
        for start in range(0, max(tensor.numel(), 1), size):
            yield memory[: tensor.numel() - start]


def _block_size(tensor: Tensor) -> int:
    """Return the entries of a block; other devices than the CPU are kept busy by whole tensors only."""
    return BLOCK_ENTRIES if tensor.device.type == "cpu" else max(tensor.numel(), 1)


def _column_sums(rows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Sum each column pairwise; adding one number after the other would lose digits."""
    return column_sums([torch.stack(column).sum() for column in zip(*rows, strict=True)])
