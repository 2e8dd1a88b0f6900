"""The user-item graph: build it, normalize it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int, Int64
from numpy import ndarray
from scipy import sparse
from torch import Generator

from flatrec.data.interactions import Interactions
from flatrec.ops.spmm import Graph

DEGREE_OFFSET = 1e-7  # keeps nodes without an interaction finite; the value behind the field's published numbers


def training_graph(interactions: Interactions, *, weighted: bool = False) -> Graph:
    """Return the symmetrically normalized graph of all training interactions, users first, then items.

    Entry (u, i) is w_ui (d_u + 1e-7)^(-1/2) (d_i + 1e-7)^(-1/2), d the sum of w over the node's training interactions;
    w is the weight of an interaction if the graph is weighted, else 1, so that d is their number. There are no self
    loops, and a node without an interaction has an empty row.
    """
    return normalized_graph(interactions, *interactions.indices("train"), _edge_weights(interactions, weighted))


def interaction_matrix(interactions: Interactions) -> Graph:
    """Return the training interactions as a binary matrix of users by items."""
    return Graph(interactions.matrix("train"), symmetric=False)


def mean_graphs(interactions: Interactions, *, weighted: bool = False) -> tuple[Graph, Graph]:
    """Return the row-normalized halves of the graph: from items to users, and from users to items.

    A product averages over neighbors, by the weights of the interactions if the graphs are weighted; a node without an
    interaction has an empty row.
    """
    matrix = interactions.weight_matrix("train") if weighted else interactions.matrix("train")
    return row_normalized(matrix), row_normalized(sparse.csr_array(matrix.T))


def root_degree_graphs(interactions: Interactions) -> tuple[Graph, Graph]:
    """Return the halves of the graph with rows divided by d^(1/2): from items to users, and from users to items.

    d is the number of training interactions of the row's node; a node without an interaction has an empty row.
    """
    matrix = interactions.matrix("train")
    return _root_divided(matrix), _root_divided(sparse.csr_array(matrix.T))


def random_walk_graph(interactions: Interactions) -> Graph:
    """Return the random walk with self loops, D^-1 (A + I), D the row sums of A + I."""
    return row_normalized(_with_self_loops(interactions.matrix("train")))


def training_self_loop_graph(interactions: Interactions) -> Graph:
    """Return the symmetrically normalized graph of all training interactions with self loops."""
    return self_loop_graph(interactions.matrix("train"))


def self_loop_graph(matrix: sparse.csr_array) -> Graph:
    """Return D^(-1/2) (A + I) D^(-1/2), users first, then items, D the row sums of A + I, of a binary matrix."""
    looped = _with_self_loops(matrix)
    roots = np.diff(looped.indptr) ** -0.5
    rows = np.repeat(np.arange(len(roots)), np.diff(looped.indptr))
    values = (roots[rows] * roots[looped.indices]).astype(np.float32)
    return Graph(sparse.csr_array((values, looped.indices, looped.indptr), shape=looped.shape), symmetric=True)


def kept_entries(graph: Graph, dropout: float, generator: Generator) -> Graph:
    """Return a graph without a fraction of its entries, on average, the others scaled up by 1 / (1 - dropout).

    The two directions of an edge are dropped independently of each other.
    """
    if dropout == 0:
        return graph
    matrix = graph.coo()
    kept = torch.rand(matrix.nnz, generator=generator).numpy() >= dropout
    entries = (matrix.data[kept] / np.float32(1 - dropout), (matrix.row[kept], matrix.col[kept]))
    thinned = Graph(sparse.csr_array(entries, shape=matrix.shape), symmetric=False)
    return thinned.to(graph.matrix.values.device)


def normalized_graph(
    interactions: Interactions,
    users: Int[ndarray, "n_interactions"],
    items: Int[ndarray, "n_interactions"],
    weights: Float32[ndarray, "n_interactions"] | None = None,
) -> Graph:
    """Return the symmetrically normalized graph of these interactions over all users and items."""
    values = entries(interactions, users, items, weights).astype(np.float32)
    n_nodes = interactions.n_users + interactions.n_items
    ends = bidirectional(interactions, users, items)
    matrix = sparse.csr_array((np.concatenate([values, values]), ends), shape=(n_nodes, n_nodes))
    return Graph(matrix, symmetric=True)


def bidirectional(
    interactions: Interactions, users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"]
) -> tuple[Int64[ndarray, "n_edges"], Int64[ndarray, "n_edges"]]:
    """Return the ends of the edges from users to items, then from items to users; item nodes follow user nodes."""
    shifted = items.astype(np.int64) + interactions.n_users
    return np.concatenate([users, shifted]), np.concatenate([shifted, users])


def entries(
    interactions: Interactions,
    users: Int[ndarray, "n_interactions"],
    items: Int[ndarray, "n_interactions"],
    weights: Float32[ndarray, "n_interactions"] | None = None,
) -> Float64[ndarray, "n_interactions"]:
    """Return the entry of each of these interactions in their symmetrically normalized graph."""
    user_degrees = np.bincount(users, weights, minlength=interactions.n_users) + DEGREE_OFFSET
    item_degrees = np.bincount(items, weights, minlength=interactions.n_items) + DEGREE_OFFSET
    values: ndarray = (user_degrees[users] * item_degrees[items]) ** -0.5
    return values if weights is None else weights * values


def _with_self_loops(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return A + I, users first, then items, of a matrix of users by items."""
    adjacency = sparse.block_array([[None, matrix], [matrix.T, None]], format="csr")
    return sparse.csr_array(adjacency + sparse.eye_array(adjacency.shape[0], dtype=np.float32))


def _root_divided(matrix: sparse.csr_array) -> Graph:
    degrees = np.diff(matrix.indptr)
    values = (np.repeat(degrees, degrees) ** -0.5).astype(np.float32)
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def row_normalized(matrix: sparse.csr_array) -> Graph:
    """Return a matrix with each row divided by its sum; empty rows stay empty."""
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    values = (matrix.data / np.bincount(owners, matrix.data)[owners]).astype(np.float32)  # sums in float64
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def _edge_weights(interactions: Interactions, weighted: bool) -> Float32[ndarray, "n_train"] | None:
    """Return the weights of the training interactions; None if they all count the same."""
    if not weighted or interactions.weights is None:
        return None
    weights: ndarray = interactions.weights[interactions.mask("train")]
    return weights
