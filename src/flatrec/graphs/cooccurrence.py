"""User-user graphs from the training items that two users have in common."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Generator, Tensor, nn

from flatrec.data.interactions import Interactions
from flatrec.graphs.cache import cached
from flatrec.ops.spmm import Graph

BLOCK_ENTRIES = 4_000_000  # pairs of users that are counted at once, about 200 MB
CACHED_FROM = 2_000_000  # sum of squared item degrees from which a graph is kept on disk: a good tenth of a second


def cooccurrence_matrix(interactions: Interactions, n_neighbors: int) -> sparse.csr_array:
    """How many training items each user shares with the users that share the most with them.

    Row u of the (n_users, n_users) float32 matrix holds |items of u ∩ items of v| for the ``neighbors`` users v != u
    for whom it is largest; fewer where fewer users share an item with u, none where nobody does. Of equal counts at
    the cut the smaller user number stays, which the original code leaves open. O(sum of squared item degrees) time,
    memory for a block of rows at a time.

    Raises:
        ValueError: ``neighbors`` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}; DualGNN and DRAGON take 10 to 40")
    matrix = interactions.matrix("train")
    build = partial(_build, matrix, n_neighbors)
    if int((interactions.item_counts("train") ** 2).sum()) < CACHED_FROM:
        return build()
    return cached("cooccurrence-1", [matrix.indptr, matrix.indices, interactions.n_items, n_neighbors], build)


class UserGraph(nn.Module):
    """The graph that averages over a user's co-occurring ones, weighted by a softmax over the numbers of common items.

    Row u has weights m_v exp(c_uv) / sum_w m_w exp(c_uw), so it adds up to 1; the row of a user who shares no item with
    anybody is empty. In evaluation m = 1. In training a row that has entries, but fewer than ``neighbors``, is filled
    up with random repetitions of them, as in the released code of DualGNN and DRAGON: m_v is 1 plus how often v was
    drawn, each time from the row as it had grown by then.

    Args:
        interactions: gives the training pairs.
        n_neighbors: how many neighbors a user has at most, and how many entries a filled row has.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> graph = UserGraph(block_dataset().interactions, 40)
        >>> graph.draw(torch.Generator())
        >>> graph(torch.ones(30, 2)).shape
        torch.Size([30, 2])

    Raises:
        ValueError: ``neighbors`` is below 1.
    """

    def __init__(self, interactions: Interactions, n_neighbors: int) -> None:
        super().__init__()
        self.n_neighbors = n_neighbors
        self.counts = cooccurrence_matrix(interactions, n_neighbors)
        self.whole = softmax_graph(self.counts, np.ones(self.counts.nnz, dtype=np.int64))
        self.drawn = self.whole

    def draw(self, generator: Generator) -> None:
        """Fill short rows up again for training; equal state, equal graph. Without a short row nothing changes."""
        multiplicities = drawn_multiplicities(self.counts, self.n_neighbors, generator)
        if (multiplicities > 1).any():
            self.drawn = softmax_graph(self.counts, multiplicities).to(self.whole.rows.values.device)

    def forward(self, users: Float[Tensor, "n_users dim"]) -> Float[Tensor, "n_users dim"]:
        """The weighted mean over neighbors."""
        return cast(Tensor, (self.drawn if self.training else self.whole)(users))


def softmax_graph(counts: sparse.csr_array, multiplicities: Int64[ndarray, "n_entries"]) -> Graph:
    """The softmax over each row, every entry taken as often as its multiplicity says, at least once."""
    filled = np.flatnonzero(np.diff(counts.indptr))
    starts = counts.indptr[filled]
    owners = np.repeat(np.arange(len(filled)), np.diff(counts.indptr)[filled])
    counted = counts.data.astype(np.float64)
    powers = multiplicities * np.exp(counted - np.maximum.reduceat(counted, starts)[owners])
    weights = (powers / np.add.reduceat(powers, starts)[owners]).astype(np.float32)
    return Graph(sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape), symmetric=False)


def drawn_multiplicities(
    counts: sparse.csr_array, n_neighbors: int, generator: Generator
) -> Int64[ndarray, "n_entries"]:
    """How often each entry occurs once its row is filled up to ``neighbors`` with random repetitions.

    Each repetition is drawn uniformly from the row with the earlier repetitions in it, an urn of Polya. Its outcome is
    that of independent draws whose probabilities are themselves drawn, uniformly among all, once a row; so they are
    drawn here, as exponentials in proportion.
    """
    sizes = np.diff(counts.indptr)
    missing = np.where(sizes > 0, np.maximum(n_neighbors - sizes, 0), 0)
    rows = np.repeat(np.arange(len(sizes)), missing)
    masses = torch.empty(counts.nnz, dtype=torch.float64).exponential_(generator=generator).numpy()
    places = np.concatenate([[0.0], np.cumsum(masses)])  # entries side by side, each as wide as its mass
    starts, stops = places[counts.indptr[rows]], places[counts.indptr[rows + 1]]
    shares = torch.rand(len(rows), generator=generator, dtype=torch.float64).numpy()
    drawn = np.searchsorted(places, starts + shares * (stops - starts), side="right") - 1
    drawn = np.clip(drawn, counts.indptr[rows], counts.indptr[rows + 1] - 1)  # whatever rounding does at the edges
    multiplicities: ndarray = 1 + np.bincount(drawn, minlength=counts.nnz).astype(np.int64)
    return multiplicities


def _build(matrix: sparse.csr_array, n_neighbors: int) -> sparse.csr_array:
    users_of_items = sparse.csr_array(matrix.T)
    blocks = [_block(matrix, users_of_items, rows, n_neighbors) for rows in _blocks(matrix)]
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _blocks(matrix: sparse.csr_array) -> Iterator[slice]:
    """Slices of rows with about BLOCK_ENTRIES pairs of users each, equal pairs counted once an item."""
    degrees = np.bincount(matrix.indices, minlength=matrix.shape[1])
    costs = np.concatenate([[0], np.cumsum(degrees[matrix.indices])])[matrix.indptr[1:]]
    numbers = (costs + np.arange(len(costs))) // BLOCK_ENTRIES  # a row without a pair costs something too
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    return (slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True))


def _block(
    matrix: sparse.csr_array, users_of_items: sparse.csr_array, rows: slice, n_neighbors: int
) -> sparse.csr_array:
    """The given rows: counts of all pairs, sorted within each row, and cut."""
    n_rows, n_users = rows.stop - rows.start, matrix.shape[0]
    product = (matrix[rows] @ users_of_items).tocoo()
    others = product.row + rows.start != product.col
    row, column = product.row[others].astype(np.int64), product.col[others]
    counts = product.data[others].astype(np.int64)
    bound = int(counts.max(initial=0)) + 1
    # One number a pair: sorted, it runs through the rows, in each from the largest count down, then through users.
    keys = (row * bound + (bound - 1 - counts)) * n_users + column
    keys.sort()
    sizes = np.bincount(row, minlength=n_rows)
    ranks = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept, chosen = np.divmod(keys[ranks < n_neighbors], n_users)
    owner, short = np.divmod(kept, bound)
    values = (bound - 1 - short).astype(np.float32)
    return sparse.csr_array((values, (owner, chosen)), shape=(n_rows, n_users))
