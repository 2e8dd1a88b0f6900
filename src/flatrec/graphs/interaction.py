"""The user-item graph: build it, normalize it, thin it by degree."""

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

DEGREE_OFFSET = 1e-7  # keeps nodes without a pair finite; the value that the field's numbers were made with


def training_graph(interactions: Interactions) -> Graph:
    """The symmetrically normalized graph of all training pairs, users first, then items.

    Entry (u, i) is (d_u + 1e-7)^(-1/2) (d_i + 1e-7)^(-1/2), d the number of training pairs; no self loops; a node
    without a pair has an empty row.
    """
    return normalized_graph(interactions, *interactions.indices("train"))


def bought_matrix(interactions: Interactions) -> Graph:
    """The training pairs as a binary matrix of users by items."""
    return Graph(interactions.matrix("train"), symmetric=False)


def mean_graphs(interactions: Interactions) -> tuple[Graph, Graph]:
    """The row-normalized halves of the graph: from items to users, and from users to items.

    A product averages over neighbors; a node without a pair has an empty row.
    """
    bought = interactions.matrix("train")
    return _row_normalized(bought), _row_normalized(sparse.csr_array(bought.T))


def walk_graph(interactions: Interactions) -> Graph:
    """The random walk with self loops, D^-1 (A + I), D the row sums of A + I."""
    bought = interactions.matrix("train")
    adjacency = sparse.block_array([[None, bought], [bought.T, None]], format="csr")
    return _row_normalized(sparse.csr_array(adjacency + sparse.eye_array(adjacency.shape[0], dtype=np.float32)))


def thinned_graph(
    interactions: Interactions,
    rate: float,
    generator: Generator,
    weighting: Literal["degree", "uniform"] = "degree",
) -> Graph:
    """The graph of a random share of the training pairs, degrees counted again on what is kept.

    int(n_pairs * (1 - rate)) pairs, as floats round it, are drawn without replacement. With ``degree`` the
    probability of each is proportional to its entry in the full graph, so pairs of busy users and popular items are
    the first to be left out (FREEDOM, section 3.2); with ``uniform`` all are alike. The draw takes the largest of
    independent exponential keys, which is the same distribution as drawing one by one and, unlike
    ``torch.multinomial``, has no limit on the number of pairs.

    Args:
        interactions: the pairs.
        rate: the share to leave out, in [0, 1).
        generator: decides which; equal state, equal graph.
        weighting: what the probabilities go by.
    """
    users, items = interactions.indices("train")
    weights = torch.from_numpy(_weights(interactions, users, items))
    if weighting == "uniform":
        weights = torch.ones_like(weights)
    keys = weights.log() - torch.empty_like(weights).exponential_(generator=generator).log()
    kept = keys.topk(int(len(users) * (1 - rate)), sorted=False).indices.sort().values.numpy()
    return normalized_graph(interactions, users[kept], items[kept])


def normalized_graph(
    interactions: Interactions, users: Int[ndarray, "n_pairs"], items: Int[ndarray, "n_pairs"]
) -> Graph:
    """The symmetrically normalized graph of the given pairs over all users and items."""
    weights = _weights(interactions, users, items).astype(np.float32)
    n_nodes = interactions.n_users + interactions.n_items
    ends = bidirectional(interactions, users, items)
    matrix = sparse.csr_array((np.concatenate([weights, weights]), ends), shape=(n_nodes, n_nodes))
    return Graph(matrix, symmetric=True)


def bidirectional(
    interactions: Interactions, users: Int[ndarray, "n_pairs"], items: Int[ndarray, "n_pairs"]
) -> tuple[Int64[ndarray, "n_edges"], Int64[ndarray, "n_edges"]]:
    """The ends of the edges from users to items, then of those from items to users; items are numbered after users."""
    shifted = items.astype(np.int64) + interactions.n_users
    return np.concatenate([users, shifted]), np.concatenate([shifted, users])


def _row_normalized(matrix: sparse.csr_array) -> Graph:
    degrees = np.diff(matrix.indptr)
    values = np.repeat(1 / np.maximum(degrees, 1), degrees).astype(np.float32)
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def _weights(
    interactions: Interactions, users: Int[ndarray, "n_pairs"], items: Int[ndarray, "n_pairs"]
) -> Float64[ndarray, "n_pairs"]:
    user_degrees = np.bincount(users, minlength=interactions.n_users) + DEGREE_OFFSET
    item_degrees = np.bincount(items, minlength=interactions.n_items) + DEGREE_OFFSET
    weights: ndarray = (user_degrees[users] * item_degrees[items]) ** -0.5
    return weights
