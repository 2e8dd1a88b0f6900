"""The user-item graph: build it, normalise it, thin it by degree."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from scipy import sparse
from torch import Generator

from flatrec.data.interactions import Interactions
from flatrec.graphs.sparse import Graph

DEGREE_OFFSET = 1e-7  # keeps nodes without a pair finite; the value that the field's numbers were made with


def training_graph(interactions: Interactions) -> Graph:
    """The symmetrically normalised graph of all training pairs, users first, then items.

    Entry (u, i) is (d_u + 1e-7)^(-1/2) (d_i + 1e-7)^(-1/2), d the number of training pairs; no self loops; a node
    without a pair has an empty row.
    """
    return normalised_graph(interactions, *interactions.pairs("train"))


def thinned_graph(interactions: Interactions, rate: float, generator: Generator) -> Graph:
    """The graph of a random share of the training pairs, degrees counted anew on what is kept.

    int(n_pairs * (1 - rate)) pairs, as floats round it, are drawn without replacement, each with probability
    proportional to its entry in the full graph, so pairs of busy users and popular items are the first to be left
    out (FREEDOM, section 3.2). The draw takes the largest of independent exponential keys, which is the same
    distribution as drawing one by one and, unlike ``torch.multinomial``, has no limit on the number of pairs.

    Args:
        interactions: the pairs.
        rate: the share to leave out, in [0, 1).
        generator: decides which; equal state, equal graph.
    """
    users, items = interactions.pairs("train")
    weights = torch.from_numpy(_weights(interactions, users, items))
    keys = weights.log() - torch.empty_like(weights).exponential_(generator=generator).log()
    kept = keys.topk(int(len(users) * (1 - rate)), sorted=False).indices.sort().values.numpy()
    return normalised_graph(interactions, users[kept], items[kept])


def normalised_graph(
    interactions: Interactions, users: Int[ndarray, "n_pairs"], items: Int[ndarray, "n_pairs"]
) -> Graph:
    """The symmetrically normalised graph of the given pairs over all users and items."""
    n_nodes = interactions.n_users + interactions.n_items
    shifted = items.astype(np.int64) + interactions.n_users
    weights = _weights(interactions, users, items).astype(np.float32)
    ends = (np.concatenate([users, shifted]), np.concatenate([shifted, users]))
    matrix = sparse.csr_array((np.concatenate([weights, weights]), ends), shape=(n_nodes, n_nodes))
    return Graph(matrix, symmetric=True)


def _weights(
    interactions: Interactions, users: Int[ndarray, "n_pairs"], items: Int[ndarray, "n_pairs"]
) -> Float64[ndarray, "n_pairs"]:
    user_degrees = np.bincount(users, minlength=interactions.n_users) + DEGREE_OFFSET
    item_degrees = np.bincount(items, minlength=interactions.n_items) + DEGREE_OFFSET
    weights: ndarray = (user_degrees[users] * item_degrees[items]) ** -0.5
    return weights
