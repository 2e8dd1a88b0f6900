"""The user-item graph: build it, normalize it, drop some of its edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from numpy import ndarray
from scipy import sparse
from torch import Generator

from flatrec.data.interactions import Interactions
from flatrec.ops.spmm import Graph

DEGREE_OFFSET = 1e-7  # keeps nodes without an interaction finite; the value behind the field's published numbers


def training_graph(interactions: Interactions) -> Graph:
    """Return the symmetrically normalized graph of all training interactions, users first, then items.

    Entry (u, i) is (d_u + 1e-7)^(-1/2) (d_i + 1e-7)^(-1/2), d the number of training interactions. There are no self
    loops, and a node without an interaction has an empty row.
    """
    return normalized_graph(interactions, *interactions.indices("train"))


def interaction_matrix(interactions: Interactions) -> Graph:
    """Return the training interactions as a binary matrix of users by items."""
    return Graph(interactions.matrix("train"), symmetric=False)


def mean_graphs(interactions: Interactions) -> tuple[Graph, Graph]:
    """Return the row-normalized halves of the graph: from items to users, and from users to items.

    A product averages over neighbors; a node without an interaction has an empty row.
    """
    matrix = interactions.matrix("train")
    return _row_normalized(matrix), _row_normalized(sparse.csr_array(matrix.T))


def random_walk_graph(interactions: Interactions) -> Graph:
    """Return the random walk with self loops, D^-1 (A + I), D the row sums of A + I."""
    matrix = interactions.matrix("train")
    adjacency = sparse.block_array([[None, matrix], [matrix.T, None]], format="csr")
    return _row_normalized(sparse.csr_array(adjacency + sparse.eye_array(adjacency.shape[0], dtype=np.float32)))


def edge_dropout_graph(
    interactions: Interactions, rate: float, generator: Generator, weighting: Literal["degree", "uniform"] = "degree"
) -> Graph:
    """Return the normalized graph of a random subset of the training interactions, with the degrees of that subset.

    int(n_interactions * (1 - rate)) interactions, as floats round it, are drawn without replacement. With ``degree``
    the probability of each is proportional to its entry in the full graph, so that interactions of busy users and
    popular items are dropped first (FREEDOM, section 3.2); with ``uniform`` all are equally likely. The draw takes the
    largest of independent exponential keys, which is the same distribution as drawing one by one and, unlike
    ``torch.multinomial``, has no limit on the number of interactions.

    Args:
        interactions: the training interactions to draw from.
        rate: fraction of the interactions to drop, in [0, 1).
        generator: decides which ones are dropped; equal states give equal graphs.
        weighting: what the probabilities depend on.
    """
    users, items = interactions.indices("train")
    weights = torch.from_numpy(_weights(interactions, users, items))
    if weighting == "uniform":
        weights = torch.ones_like(weights)
    keys = weights.log() - torch.empty_like(weights).exponential_(generator=generator).log()
    drawn = keys.topk(int(len(users) * (1 - rate)), sorted=False).indices.sort().values.numpy()
    return normalized_graph(interactions, users[drawn], items[drawn])


def normalized_graph(
    interactions: Interactions, users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"]
) -> Graph:
    """Return the symmetrically normalized graph of these interactions over all users and items."""
    weights = _weights(interactions, users, items).astype(np.float32)
    n_nodes = interactions.n_users + interactions.n_items
    ends = bidirectional(interactions, users, items)
    matrix = sparse.csr_array((np.concatenate([weights, weights]), ends), shape=(n_nodes, n_nodes))
    return Graph(matrix, symmetric=True)


def bidirectional(
    interactions: Interactions, users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"]
) -> tuple[Int64[ndarray, "n_edges"], Int64[ndarray, "n_edges"]]:
    """Return the ends of the edges from users to items, then from items to users; item nodes follow user nodes."""
    shifted = items.astype(np.int64) + interactions.n_users
    return np.concatenate([users, shifted]), np.concatenate([shifted, users])


def _row_normalized(matrix: sparse.csr_array) -> Graph:
    degrees = np.diff(matrix.indptr)
    values = np.repeat(1 / np.maximum(degrees, 1), degrees).astype(np.float32)
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def _weights(
    interactions: Interactions, users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"]
) -> Float64[ndarray, "n_interactions"]:
    user_degrees = np.bincount(users, minlength=interactions.n_users) + DEGREE_OFFSET
    item_degrees = np.bincount(items, minlength=interactions.n_items) + DEGREE_OFFSET
    weights: ndarray = (user_degrees[users] * item_degrees[items]) ** -0.5
    return weights
