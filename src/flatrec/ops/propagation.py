"""Propagation over a graph without weights, as in LightGCN; most later models build upon it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from flatrec.ops.columns import row_cosines
from flatrec.ops.layer_storage import layer_dtype, layer_sum
from flatrec.ops.operator import operator
from flatrec.ops.spmm import Graph, product

Reduction: TypeAlias = Literal["mean", "sum", "last"]


def propagate(
    graph: Graph,
    x: Float[Tensor, "n_nodes dim"],
    n_layers: int,
    reduce: Reduction = "mean",
    *,
    dropout: float = 0.0,
    training: bool = True,
) -> Float[Tensor, "n_nodes dim"]:
    """Return what ``n_layers`` products with the graph M make of X, reduced over the layers.

    With dropout the layers are X_0 = X and X_l = dropout(M X_(l-1)), each mask drawn from torch's global generator.
    Without, ``mean`` and ``sum`` store the layers in the type of :func:`flatrec.ops.layer_storage.layers_stored_as`.

    Args:
        graph: M.
        x: X, the node embeddings of layer 0.
        n_layers: L, at least 0.
        reduce: ``mean`` for (X + MX + ... + M^L X) / (L + 1), ``sum`` for X + MX + ... + M^L X, ``last`` for M^L X.
        dropout: fraction of the entries of each layer after the first that is set to zero, the others scaled up by
            1 / (1 - dropout), in [0, 1).
        training: whether there is dropout at all.
    """
    if dropout > 0 and training:
        return _propagate_with_dropout(graph, x, n_layers, reduce, dropout=dropout)
    if reduce == "last":
        for _ in range(n_layers):
            x = graph(x)
        return x
    if n_layers == 0:
        return x
    scale = 1 / (n_layers + 1) if reduce == "mean" else 1.0
    x = x.to(graph.matrix.values.dtype)
    if (dtype := layer_dtype()) is not None:
        return layer_sum(graph, x, n_layers, scale=scale, dtype=dtype)
    return _scaled_sum(x, graph.matrix.arrays, graph.transposed.arrays, n_layers, scale)


def propagate_by_similarity(
    graph: Graph, x: Float[Tensor, "n_nodes dim"], n_layers: int, *, dropout: float = 0.0, training: bool = True
) -> Float[Tensor, "n_nodes dim"]:
    """Return the sum of layers 1 to ``n_layers``, each weighted row by row by its similarity to layer 0.

    With Z_l = dropout(M X_(l-1)), row v of X_l is cos(Z_l[v], X[v]) Z_l[v], as in LayerGCN.

    Args:
        graph: M.
        x: X, the node embeddings of layer 0, which is not in the sum.
        n_layers: L, at least 0.
        dropout: fraction of the entries of each Z set to zero, the others scaled up, in [0, 1).
        training: whether there is dropout at all.
    """
    hidden, total = x, torch.zeros_like(x)
    for _ in range(n_layers):
        near = F.dropout(graph(hidden), dropout, training)
        hidden = row_cosines(near, x)[:, None] * near
        total = total + hidden
    return total


def _propagate_with_dropout(
    graph: Graph, x: Tensor, n_layers: int, reduce: Reduction, *, dropout: float
) -> Float[Tensor, "n_nodes dim"]:
    layers = [x.to(graph.matrix.values.dtype)]
    for _ in range(n_layers):
        layers.append(F.dropout(graph(layers[-1]), dropout))
    if reduce == "last":
        return layers[-1]
    total = torch.stack(layers).sum(dim=0)
    return total / len(layers) if reduce == "mean" else total


def _empty_sum(x: Tensor, *_settings: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:  # noqa: ANN401
    _, matrix, transposed, *settings = inputs
    ctx.settings = (transposed, matrix, *settings)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    return _scaled_sum(gradient, *ctx.settings), None, None, None, None


@operator(
    "propagate(Tensor x, Tensor[] matrix, Tensor[] transposed, int n_layers, float scale) -> Tensor",
    _empty_sum,
    _save,
    _backward,
)
def _scaled_sum(  # noqa: PLR0917 - operators take everything by position
    x: Tensor,
    matrix: list[Tensor],
    transposed: list[Tensor],  # noqa: ARG001 - for the gradient
    n_layers: int,
    scale: float,
) -> Tensor:
    """Scale * (X + M(X + M(X + ...))), and the same with the transpose for the gradient.

    Written so, a layer costs one product and one addition in place, and nothing is kept for the gradient.
    """
    total = x
    for _ in range(n_layers):
        total = product(total, matrix, split=x.device.type != "cpu").add_(x)
    return total if scale == 1 else total.mul_(scale)
