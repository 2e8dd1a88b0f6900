"""Item-item graphs whose entries are the cosines of the nearest neighbors in feature space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.graphs.knn import knn_matrix
from flatrec.ops.normalize import l2_normalize_
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph

CANCELED = 1e-4  # a row sum this small against its absolute entries is what rounding left of cosines that cancel


def cosine_graph(features: Float32[ndarray, "n_items width"], n_neighbors: int) -> Graph:
    """Return the normalized graph from each item to its k nearest items by cosine, the item itself among them.

    With S the cosines, of which each row keeps the k largest, and D the row sums of what is kept:

        D^(-1/2) S D^(-1/2)

    directed, the row sums on both sides. A row whose sum is below a ten-thousandth of that of its absolute entries is
    empty, as is its column, so that every entry is finite.

    Args:
        features: one row per item, finite.
        n_neighbors: k, the number of neighbors of an item, in [1, n_items].

    Raises:
        ValueError: k is out of range.
    """
    kept = knn_matrix(features, n_neighbors).tocoo()
    edges = Edges(kept.row, kept.col, kept.shape)
    directions = l2_normalize_(torch.tensor(features))
    return Graph(
        edge_matrix(edges, normalized_by_row_sums(edges, edges.sddmm(directions, directions))), symmetric=False
    )


def normalized_by_row_sums(edges: Edges, values: Float[Tensor, "n_edges"]) -> Float[Tensor, "n_edges"]:
    """Return D^(-1/2) S D^(-1/2), D the row sums; empty where a sum is negative or the rounding of one."""
    sums = edges.row_sums(values)
    fit = sums > CANCELED * edges.row_sums(values.abs())
    roots = torch.where(fit, torch.where(fit, sums, 1).rsqrt(), 0)  # the inner one keeps gradients finite
    return roots[edges.rows] * values * roots[edges.columns]


def edge_matrix(edges: Edges, values: Float[Tensor, "n_edges"]) -> sparse.csr_array:
    """Return the edges with these values as a matrix; edges with the same ends add up."""
    entries = (values.cpu().numpy(), (edges.rows.cpu().numpy(), edges.columns.cpu().numpy()))
    return sparse.csr_array(entries, shape=edges.shape)


def largest_of(graphs: Sequence[Graph]) -> Graph:
    """Return the union of the edges of graphs of one shape, each edge with the largest of its entries.

    The result is not normalized again.
    """
    stored = [graph.coo() for graph in graphs]
    n_columns = graphs[0].shape[1]
    keys = np.concatenate([entries.row.astype(np.int64) * n_columns + entries.col for entries in stored])
    edges, places = np.unique(keys, return_inverse=True)
    values = np.full(len(edges), -np.inf, dtype=np.float32)
    np.maximum.at(values, places, np.concatenate([entries.data for entries in stored]))
    return Graph(sparse.csr_array((values, np.divmod(edges, n_columns)), shape=graphs[0].shape), symmetric=False)
