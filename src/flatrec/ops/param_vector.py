"""Algebra on vectors that come as lists of tensors: one list stands for all parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Vector: TypeAlias = Sequence[Tensor]

BLOCK_ENTRIES = 2**16  # 256 KB: a few of them stay in the cache of one core together


def dot(one: Vector, other: Vector) -> Tensor:
    """The inner product, a scalar tensor."""
    return torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in zip(one, other, strict=True)]).sum()


def norm(vector: Vector) -> Tensor:
    """The Euclidean norm over all entries, a scalar tensor."""
    lengths: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(vector))))
    return lengths


def times(one: Vector, other: Vector) -> list[Tensor]:
    """The product entry by entry."""
    return list(torch._foreach_mul(list(one), list(other)))


def plus_scaled(one: Vector, other: Vector, factor: Tensor) -> list[Tensor]:
    """The sum ``one + factor * other``."""
    number = float(factor)  # a number is multiplied in while adding, where a tensor costs a pass of its own
    return [torch.add(a, b, alpha=number) for a, b in zip(one, other, strict=True)]


def lerp_(one: Vector, other: Vector, weight: float) -> None:
    """Turn ``one`` into ``weight * other + (1 - weight) * one``, in place."""
    torch._foreach_lerp_(list(one), list(other), weight)


def lerp_into(one: Vector, other: Vector, weight: float, *, into: Vector) -> None:
    """Put ``weight * other + (1 - weight) * one`` into another place."""
    for a, b, place in zip(one, other, into, strict=True):
        torch.lerp(a, b, weight, out=place)


class PairStats(NamedTuple):
    """How one vector stands to another; scalars."""

    dot: Tensor
    square: Tensor  # of the one's length
    other_square: Tensor
    manhattan: Tensor
    euclidean_square: Tensor

    @property
    def cosine(self) -> Tensor:
        """Of the angle between them; 0 where either is zero."""
        return quotient(self.dot, (self.square * self.other_square).sqrt())


def ema_update(one: Vector, other: Vector, weight: float, *, into: Vector | None = None) -> PairStats:
    """As :func:`lerp_into`, and how the result stands to ``other``, in a single pass over memory.

    Args:
        one: what moves, contiguous.
        other: where it moves to.
        weight: how far, from 0 to 1.
        into: a contiguous place for the result; None for that of ``one``.
    """
    rows = []
    for (start, b, place), room in zip(_blocks(one, other, one if into is None else into), _rooms(one), strict=True):
        a = torch.lerp(start, b, weight, out=place)
        gap = torch.sub(b, a, out=room)
        squares = torch.dot(a, a), torch.dot(b, b), torch.dot(gap, gap)
        rows.append((torch.dot(a, b), *squares, gap.abs_().sum()))
    dot, square, other_square, euclidean_square, manhattan = _sums(rows)
    return PairStats(dot, square, other_square, manhattan, euclidean_square)


def plus_scaled_into(out: Vector, one: Vector, other: Vector, factor: float) -> tuple[Tensor, Tensor]:
    """Put ``one + factor * other`` into ``out``, which is contiguous; its length and its product with ``one``."""
    rows = []
    for place, a, b in _blocks(out, one, other):
        torch.add(a, b, alpha=factor, out=place)
        rows.append((torch.dot(place, place), torch.dot(place, a)))
    square, along = _sums(rows)
    return square.sqrt(), along


def _blocks(*vectors: Vector) -> Iterator[tuple[Tensor, ...]]:
    """Corresponding pieces that stay in the cache, so that what is done to one costs a single trip to memory."""
    for parts in zip(*vectors, strict=True):
        entries = _entries(parts[0])
        yield from zip(*(part.flatten().split(entries) for part in parts), strict=True)


def _rooms(vector: Vector) -> Iterator[Tensor]:
    """Room for a result, block by block; always the same memory, as fresh memory is slower than the work on it."""
    for part in vector:
        entries = _entries(part)
        room = part.new_empty(min(entries, part.numel()))
        for start in range(0, max(part.numel(), 1), entries):
            yield room[: part.numel() - start]


def _entries(part: Tensor) -> int:
    """Of a block; other devices than the CPU are kept busy by whole tensors only."""
    return BLOCK_ENTRIES if part.device.type == "cpu" else max(part.numel(), 1)


def _sums(rows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Of each column, added up in pairs rather than one after the other, which loses digits."""
    return [torch.stack(column).sum() for column in zip(*rows, strict=True)]


def blend(one: Vector, other: Vector, weight: float) -> list[Tensor]:
    """The mix ``weight * one + (1 - weight) * other``; exactly one of them at weight 1 and 0."""
    return list(torch._foreach_lerp(list(other), list(one), weight))


def cosine(one: Vector, other: Vector, length: Tensor | None = None) -> Tensor:
    """The cosine of the angle between two vectors; 0 where either is zero.

    ``length`` is the norm of ``one``, where it is known: a norm is a pass over all parameters.
    """
    lengths = (norm(one) if length is None else length) * norm(other)
    return quotient(dot(one, other), lengths)


def quotient(part: Tensor, whole: Tensor) -> Tensor:
    """One scalar by another that is not negative; 0 where that is 0."""
    return torch.where(whole > 0, part / whole, torch.zeros_like(whole))
