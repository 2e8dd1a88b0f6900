"""Propagation without weights: what LightGCN does, and what most later models build upon."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.spmm import Graph, Rows


def mean_of_layers(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """(X + MX + ... + M^L X) / (L + 1)."""
    return _scaled_sum(graph, nodes, layers, 1 / (layers + 1))


def last_layer(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """M^L X."""
    for _ in range(layers):
        nodes = graph(nodes)
    return nodes


def sum_of_layers(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """X + MX + ... + M^L X."""
    return _scaled_sum(graph, nodes, layers, 1.0)


def _scaled_sum(graph: Graph, nodes: Tensor, layers: int, scale: float) -> Tensor:
    if layers == 0:
        return nodes
    nodes = nodes.to(graph.rows.values.dtype)
    return cast(Tensor, _ScaledSum.apply(nodes, graph.rows, graph.columns, layers, scale))  # type: ignore[no-untyped-call]


class _ScaledSum(torch.autograd.Function):
    """scale * (X + M(X + M(X + ...))), and the same with the transpose for the gradient.

    Written so, a layer costs one product and one addition in place, and nothing is kept for the gradient.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes everything by position
        ctx: Any,  # noqa: ANN401
        nodes: Tensor,
        rows: Rows,
        columns: Rows,
        layers: int,
        scale: float,
    ) -> Tensor:
        ctx.settings = (columns, rows, layers, scale)
        total = nodes
        for _ in range(layers):
            total = rows(total).add_(nodes)
        return total if scale == 1 else total.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        gradient = _ScaledSum.apply(gradients[0], *ctx.settings)  # type: ignore[no-untyped-call]
        return cast(Tensor, gradient), None, None, None, None
