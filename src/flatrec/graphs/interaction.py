"""The user-item graph: build it, normalize it, drop some of its edges."""

from __future__ import annotations

from typing import Literal

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
    return _row_normalized(matrix), _row_normalized(sparse.csr_array(matrix.T))


def random_walk_graph(interactions: Interactions) -> Graph:
    """Return the random walk with self loops, D^-1 (A + I), D the row sums of A + I."""
    matrix = interactions.matrix("train")
    adjacency = sparse.block_array([[None, matrix], [matrix.T, None]], format="csr")
    return _row_normalized(sparse.csr_array(adjacency + sparse.eye_array(adjacency.shape[0], dtype=np.float32)))


def edge_dropout_graph(
    interactions: Interactions,
    rate: float,
    generator: Generator,
    weighting: Literal["degree", "uniform"] = "degree",
    *,
    weighted: bool = False,
) -> Graph:
    """Return the normalized graph of a random subset of the training interactions, with the degrees of that subset.

    int(n_interactions * (1 - rate)) interactions, as floats round it, are drawn without replacement. With ``degree``
    the probability of each is proportional to its entry in the full graph without weights, so that interactions of busy
    users and popular items are dropped first (FREEDOM, section 3.2); with ``uniform`` all are equally likely. Weights
    of interactions play no part in the draw, so that they count once: in the entries of the graph. The draw takes the
    largest of independent exponential keys, which is the same distribution as drawing one by one and, unlike
    ``torch.multinomial``, has no limit on the number of interactions.

    Args:
        interactions: the training interactions to draw from.
        rate: fraction of the interactions to drop, in [0, 1).
        generator: decides which ones are dropped; equal states give equal graphs.
        weighting: what the probabilities depend on.
        weighted: whether the graph of the subset is weighted.
    """
    users, items = interactions.indices("train")
    masses = torch.from_numpy(_entries(interactions, users, items))
    if weighting == "uniform":
        masses = torch.ones_like(masses)
    keys = masses.log() - torch.empty_like(masses).exponential_(generator=generator).log()
    drawn = keys.topk(int(len(users) * (1 - rate)), sorted=False).indices.sort().values.numpy()
    edge_weights = _edge_weights(interactions, weighted)
    return normalized_graph(
        interactions, users[drawn], items[drawn], None if edge_weights is None else edge_weights[drawn]
    )


def normalized_graph(
    interactions: Interactions,
    users: Int[ndarray, "n_interactions"],
    items: Int[ndarray, "n_interactions"],
    weights: Float32[ndarray, "n_interactions"] | None = None,
) -> Graph:
    """Return the symmetrically normalized graph of these interactions over all users and items."""
    entries = _entries(interactions, users, items, weights).astype(np.float32)
    n_nodes = interactions.n_users + interactions.n_items
    ends = bidirectional(interactions, users, items)
    matrix = sparse.csr_array((np.concatenate([entries, entries]), ends), shape=(n_nodes, n_nodes))
    return Graph(matrix, symmetric=True)


def bidirectional(
    interactions: Interactions, users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"]
) -> tuple[Int64[ndarray, "n_edges"], Int64[ndarray, "n_edges"]]:
    """Return the ends of the edges from users to items, then from items to users; item nodes follow user nodes."""
    shifted = items.astype(np.int64) + interactions.n_users
    return np.concatenate([users, shifted]), np.concatenate([shifted, users])


def _row_normalized(matrix: sparse.csr_array) -> Graph:
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    values = (matrix.data / np.bincount(owners, matrix.data)[owners]).astype(np.float32)  # sums in float64
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def _edge_weights(interactions: Interactions, weighted: bool) -> Float32[ndarray, "n_train"] | None:
    """Return the weights of the training interactions; None if they all count the same."""
    if not weighted or interactions.weights is None:
        return None
    weights: ndarray = interactions.weights[interactions.mask("train")]
    return weights


def _entries(
    interactions: Interactions,
    users: Int[ndarray, "n_interactions"],
    items: Int[ndarray, "n_interactions"],
    weights: Float32[ndarray, "n_interactions"] | None = None,
) -> Float64[ndarray, "n_interactions"]:
    user_degrees = np.bincount(users, weights, minlength=interactions.n_users) + DEGREE_OFFSET
    item_degrees = np.bincount(items, weights, minlength=interactions.n_items) + DEGREE_OFFSET
    entries: ndarray = (user_degrees[users] * item_degrees[items]) ** -0.5
    return entries if weights is None else weights * entries
