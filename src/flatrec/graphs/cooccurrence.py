"""User-user graphs from the training items that two users have in common, and the same of items and their users."""

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
from flatrec.graphs.repetitions import Repetitions
from flatrec.ops.spmm import Graph
from flatrec.utils.devices import drawing, generator_on

BLOCK_ENTRIES = 4_000_000  # user-user entries that are counted at once, about 200 MB
CACHED_FROM = 2_000_000  # sum of squared item degrees from which a graph is kept on disk: a good tenth of a second


def cooccurrence_matrix(interactions: Interactions, n_neighbors: int) -> sparse.csr_array:
    """Return the number of training items that each user has in common with its nearest users.

    Row u of the (n_users, n_users) float32 matrix holds |items of u ∩ items of v| for the ``n_neighbors`` users v != u
    with the largest counts; fewer if fewer users have an item in common with u, none if nobody has. Of equal counts at
    the end of the list, the lower user index stays, which the original code leaves open. O(sum of squared item
    degrees) time, memory for a block of rows at a time.

    Raises:
        ValueError: ``n_neighbors`` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}; DualGNN and DRAGON take 10 to 40")
    return _counted(interactions.matrix("train"), n_neighbors)


def item_cooccurrence_matrix(
    interactions: Interactions, n_neighbors: int, order: Int64[ndarray, "n_items"]
) -> sparse.csr_array:
    """Return the number of training users that each item has in common with its nearest items.

    Row i of the (n_items, n_items) float32 matrix is to items what a row of :func:`cooccurrence_matrix` is to users.
    O(sum of squared user degrees) time.

    Args:
        interactions: the training interactions.
        n_neighbors: largest number of entries in a row.
        order: the items in an order that does not depend on their indices, such as that of their ids; of equal counts
            at the end of a list, the item that comes first stays.

    Raises:
        ValueError: ``n_neighbors`` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}; DA-MRS takes 2")
    counts = _counted(sparse.csr_array(interactions.matrix("train").T)[order], n_neighbors).tocoo()
    return sparse.csr_array((counts.data, (order[counts.row], order[counts.col])), shape=counts.shape)


class UserGraph(nn.Module):
    """A graph that averages over a user's co-occurring users, weighted by a softmax over the counts of common items.

    Row u has weights m_v exp(c_uv) / sum_w m_w exp(c_uw), so it adds up to 1; the row of a user who has no item in
    common with anybody is empty. In evaluation m = 1. In training, a row with at least one entry but fewer than
    ``n_neighbors`` is filled up with random repetitions of its entries, as in the released code of DualGNN and DRAGON:
    m_v is 1 plus the number of times that v was drawn, each time from the row with its earlier repetitions.

    Args:
        interactions: the training interactions.
        n_neighbors: largest number of neighbors of a user, and number of entries of a filled row.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> graph = UserGraph(block_dataset().interactions, 40)
        >>> graph.draw(torch.Generator())
        >>> graph(torch.ones(30, 2)).shape
        torch.Size([30, 2])

    Raises:
        ValueError: ``n_neighbors`` is below 1.
    """

    def __init__(self, interactions: Interactions, n_neighbors: int) -> None:
        super().__init__()
        self.n_neighbors = n_neighbors
        self.counts = cooccurrence_matrix(interactions, n_neighbors)
        self.whole = softmax_graph(self.counts, np.ones(self.counts.nnz, dtype=np.int64))
        self.drawn = self.whole
        self._repetitions: Repetitions | None = None  # on the device, once it has drawn

    def draw(self, generator: Generator) -> None:
        """Draw the repetitions that fill short rows in training; equal states of the generator give equal graphs.

        A GPU by CUDA draws them itself, with a generator that the given one seeds: from the same distribution as on the
        CPU, but others.
        """
        device = self.whole.matrix.values.device
        if drawing(device).type != "cpu":
            self.drawn = self._repetitions_on(device).draw(generator_on(device, generator))
            return
        multiplicities = drawn_multiplicities(self.counts, self.n_neighbors, generator)
        if (multiplicities > 1).any():
            self.drawn = softmax_graph(self.counts, multiplicities).to(device)

    def _repetitions_on(self, device: torch.device) -> Repetitions:
        """What is drawn from, copied to a device once."""
        if self._repetitions is None or self._repetitions.powers.device != device:
            self._repetitions = Repetitions.of(self.whole, self.counts, self.n_neighbors)
        return self._repetitions

    def forward(self, users: Float[Tensor, "n_users dim"]) -> Float[Tensor, "n_users dim"]:
        """Return the weighted mean over each user's neighbors."""
        return cast(Tensor, (self.drawn if self.training else self.whole)(users))


def softmax_graph(counts: sparse.csr_array, multiplicities: Int64[ndarray, "n_entries"]) -> Graph:
    """Return the softmax over each row, in which every entry counts as often as its multiplicity, at least once."""
    nonempty = np.flatnonzero(np.diff(counts.indptr))
    starts = counts.indptr[nonempty]
    owners = np.repeat(np.arange(len(nonempty)), np.diff(counts.indptr)[nonempty])
    logits = counts.data.astype(np.float64)
    powers = multiplicities * np.exp(logits - np.maximum.reduceat(logits, starts)[owners])
    weights = (powers / np.add.reduceat(powers, starts)[owners]).astype(np.float32)
    return Graph(sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape), symmetric=False)


def drawn_multiplicities(
    counts: sparse.csr_array, n_neighbors: int, generator: Generator
) -> Int64[ndarray, "n_entries"]:
    """Return how often each entry occurs once its row is filled up to ``n_neighbors`` with random repetitions.

    Each repetition is drawn uniformly from the row with its earlier repetitions: a Polya urn. The same distribution
    comes from independent draws whose probabilities are drawn once per row, uniformly among all probabilities; they
    are drawn here as normalized exponentials.
    """
    sizes = np.diff(counts.indptr)
    missing = np.where(sizes > 0, np.maximum(n_neighbors - sizes, 0), 0)
    rows = np.repeat(np.arange(len(sizes)), missing)
    masses = torch.empty(counts.nnz, dtype=torch.float64).exponential_(generator=generator).numpy()
    edges = np.concatenate([[0.0], np.cumsum(masses)])  # entries side by side, each as wide as its mass
    starts, stops = edges[counts.indptr[rows]], edges[counts.indptr[rows + 1]]
    uniform = torch.rand(len(rows), generator=generator, dtype=torch.float64).numpy()
    drawn = np.searchsorted(edges, starts + uniform * (stops - starts), side="right") - 1
    drawn = np.clip(drawn, counts.indptr[rows], counts.indptr[rows + 1] - 1)  # whatever rounding does at the edges
    multiplicities: ndarray = 1 + np.bincount(drawn, minlength=counts.nnz).astype(np.int64)
    return multiplicities


def _counted(matrix: sparse.csr_array, n_neighbors: int) -> sparse.csr_array:
    """Return the common columns of each row and its nearest rows, from disk if that was counted before."""
    build = partial(_build, matrix, n_neighbors)
    if int((np.bincount(matrix.indices) ** 2).sum()) < CACHED_FROM:
        return build()
    return cached("cooccurrence-1", [matrix.indptr, matrix.indices, matrix.shape[1], n_neighbors], build)


def _build(matrix: sparse.csr_array, n_neighbors: int) -> sparse.csr_array:
    users_of_items = sparse.csr_array(matrix.T)
    blocks = [_block(matrix, users_of_items, rows, n_neighbors) for rows in _blocks(matrix)]
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _blocks(matrix: sparse.csr_array) -> Iterator[slice]:
    """Yield slices of rows with about BLOCK_ENTRIES user-user entries each, counted once per common item."""
    degrees = np.bincount(matrix.indices, minlength=matrix.shape[1])
    costs = np.concatenate([[0], np.cumsum(degrees[matrix.indices])])[matrix.indptr[1:]]
    blocks = (costs + np.arange(len(costs))) // BLOCK_ENTRIES  # a row without an interaction costs something too
    edges = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(blocks)]
    return (slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True))


def _block(
    matrix: sparse.csr_array, users_of_items: sparse.csr_array, rows: slice, n_neighbors: int
) -> sparse.csr_array:
    """Return these rows of the matrix: counts of all user-user entries, the largest ``n_neighbors`` of each row."""
    n_rows, n_users = rows.stop - rows.start, matrix.shape[0]
    product = (matrix[rows] @ users_of_items).tocoo()
    others = product.row + rows.start != product.col
    row, column = product.row[others].astype(np.int64), product.col[others]
    counts = product.data[others].astype(np.int64)
    bound = int(counts.max(initial=0)) + 1
    # One integer per entry: sorted, it runs through the rows, in each from the largest count down, then through users.
    keys = (row * bound + (bound - 1 - counts)) * n_users + column
    keys.sort()
    sizes = np.bincount(row, minlength=n_rows)
    ranks = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    quotients, columns = np.divmod(keys[ranks < n_neighbors], n_users)
    owners, shortfalls = np.divmod(quotients, bound)
    values = (bound - 1 - shortfalls).astype(np.float32)
    return sparse.csr_array((values, (owners, columns)), shape=(n_rows, n_users))
