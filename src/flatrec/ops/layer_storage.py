"""Propagation whose layers are stored in 16 bits, for graphs that do not fit into the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.spmm import CSRMatrix, Graph

_types: list[torch.dtype] = []  # of the whole process, since gradients have threads of their own


@contextmanager
def layers_stored_as(dtype: torch.dtype) -> Iterator[None]:
    """Context manager in which :func:`flatrec.ops.propagation.propagate` stores the layers that it adds up in a type.

    Half of the bytes are read for every entry of the graph. Sums over neighbors are taken in float32 by torch's kernel,
    and rounded once per layer; the entries of the graph are rounded as well. Gradients are propagated as the forward
    pass was, whether the context still holds or not. The input and the result keep their type.

    Args:
        dtype: ``torch.float32`` changes nothing. ``torch.bfloat16`` rounds to 8 binary digits, with the range of
            float32, which small gradients need.
    """
    _types.append(dtype)
    try:
        yield
    finally:
        _types.pop()


def layer_dtype() -> torch.dtype | None:
    """Return the 16-bit type in which layers are stored; None if they keep the type of the graph."""
    dtype = _types[-1] if _types else torch.float32
    return None if dtype == torch.float32 else dtype


def layer_sum(
    graph: Graph, x: Float[Tensor, "n_nodes dim"], n_layers: int, *, scale: float, dtype: torch.dtype
) -> Float[Tensor, "n_nodes dim"]:
    """Return scale * (X + M X + ... + M^L X) with layers of a given type, differentiable to any order.

    Args:
        graph: M.
        x: X.
        n_layers: L, at least 1.
        scale: factor of the sum.
        dtype: the type of the layers.
    """
    sums = _StoredSum.apply(x, graph.matrix, graph.transposed, n_layers, scale, dtype)  # type: ignore[no-untyped-call]
    return cast(Tensor, sums)


class _StoredSum(torch.autograd.Function):
    """scale * (X + M(X + M(X + ...))), each bracket rounded, and the same with the transpose for the gradient."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes everything by position
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        matrix: CSRMatrix,
        transposed: CSRMatrix,
        n_layers: int,
        scale: float,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.settings = (transposed, matrix, n_layers, scale, dtype)
        rounded, first = matrix.rounded(dtype), x.to(dtype)
        total = first
        for _ in range(n_layers):
            total = rounded(total).add_(first)
        return total.to(x.dtype).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        gradient = _StoredSum.apply(gradients[0], *ctx.settings)  # type: ignore[no-untyped-call]
        return cast(Tensor, gradient), None, None, None, None, None
