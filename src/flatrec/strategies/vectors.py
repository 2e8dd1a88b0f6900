"""Algebra on vectors that come as lists of tensors: one list stands for all parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Vector: TypeAlias = Sequence[Tensor]


def dot(one: Vector, other: Vector) -> Tensor:
    """The inner product, a scalar tensor."""
    return torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in zip(one, other, strict=True)]).sum()


def norm(vector: Vector) -> Tensor:
    """The Euclidean norm over all entries, a scalar tensor."""
    lengths: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(vector))))
    return lengths


def minus(one: Vector, other: Vector) -> list[Tensor]:
    """The difference."""
    return list(torch._foreach_sub(list(one), list(other)))


def times(one: Vector, other: Vector) -> list[Tensor]:
    """The product entry by entry."""
    return list(torch._foreach_mul(list(one), list(other)))


def plus_scaled(one: Vector, other: Vector, factor: Tensor) -> list[Tensor]:
    """The sum ``one + factor * other``."""
    total = list(torch._foreach_mul(list(other), factor))
    torch._foreach_add_(total, list(one))
    return total


def move_towards(one: Vector, other: Vector, weight: float) -> None:
    """Turn ``one`` into ``weight * other + (1 - weight) * one``, in place."""
    torch._foreach_lerp_(list(one), list(other), weight)


def blend(one: Vector, other: Vector, weight: float) -> list[Tensor]:
    """The mix ``weight * one + (1 - weight) * other``; exactly one of them at weight 1 and 0."""
    return list(torch._foreach_lerp(list(other), list(one), weight))


def manhattan(one: Vector, other: Vector) -> Tensor:
    """The sum of absolute differences."""
    return torch.stack([torch.dist(a, b, p=1) for a, b in zip(one, other, strict=True)]).sum()


def cosine(one: Vector, other: Vector, length: Tensor | None = None) -> Tensor:
    """The cosine of the angle between two vectors; 0 where either is zero.

    ``length`` is the norm of ``one``, where it is known: a norm is a pass over all parameters.
    """
    lengths = (norm(one) if length is None else length) * norm(other)
    return torch.where(lengths > 0, dot(one, other) / lengths, torch.zeros_like(lengths))
