"""Operations on lists of tensors, by torch's private kernels for whole lists if this torch has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Operation: TypeAlias = Literal["abs", "add_", "copy_", "div", "lerp", "lerp_", "mul", "mul_", "norm"]
Argument: TypeAlias = Sequence[Tensor] | Tensor | float


def foreach(operation: Operation, tensors: Sequence[Tensor], *arguments: Argument) -> list[Tensor]:
    """Apply one operation to every tensor of a list; on a GPU a whole list costs few launches.

    Args:
        operation: the name of a method of tensors; one that ends in ``_`` works in place.
        tensors: what it is applied to.
        arguments: for each further argument a list with one entry per tensor, or one value for all.

    Returns:
        One result per tensor; of an operation in place, the tensors themselves.
    """
    kernel = getattr(torch, f"_foreach_{operation}", None)
    if kernel is None:
        return one_by_one(operation, tensors, *arguments)
    results = kernel(list(tensors), *(list(one) if isinstance(one, Sequence) else one for one in arguments))
    return list(tensors if operation.endswith("_") else results)


def one_by_one(operation: Operation, tensors: Sequence[Tensor], *arguments: Argument) -> list[Tensor]:
    """Do what :func:`foreach` does with public functions alone; on the CPU float32 and float64 give the same bits."""
    function = torch.linalg.vector_norm if operation == "norm" else getattr(Tensor, operation)
    columns = [one if isinstance(one, Sequence) else [one] * len(tensors) for one in arguments]
    return [function(*row) for row in zip(tensors, *columns, strict=True)]
