"""Propagation without weights: what LightGCN does, and what most later models build upon."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from flatrec.graphs.sparse import Graph


def mean_of_layers(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """(X + MX + ... + M^L X) / (L + 1)."""
    return sum_of_layers(graph, nodes, layers) / (layers + 1)


def last_layer(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """M^L X."""
    for _ in range(layers):
        nodes = graph(nodes)
    return nodes


def sum_of_layers(graph: Graph, nodes: Float[Tensor, "n_nodes dim"], layers: int) -> Float[Tensor, "n_nodes dim"]:
    """X + MX + ... + M^L X, as a running sum: no stack of layers is kept or differentiated."""
    total = nodes
    for _ in range(layers):
        nodes = graph(nodes)
        total = total + nodes
    return total
