"""Random repetitions of the neighbors of users who have few, drawn on a device that is not waited for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Generator, Tensor

from flatrec.graphs.device_csr import entry_rows
from flatrec.graphs.training_edges import exponentials
from flatrec.ops.counts import counts
from flatrec.ops.spmm import CSRMatrix, Graph

UNIT = 2**30  # a mass of 1 as a whole number: running sums of whole numbers are the same in any order of adding


@dataclass(frozen=True, eq=False)
class Repetitions:
    """What :class:`flatrec.graphs.cooccurrence.UserGraph` draws from, on a device.

    Args:
        whole: the graph without repetitions.
        powers: for each entry, e to its count less the largest count of its row.
        rows: the row of each missing entry: of every row as often as it lacks entries.
        owners: the row of each entry.
        transposed: the order of the entries in the transpose.
    """

    whole: Graph
    powers: Float[Tensor, "n_entries"]
    rows: Int64[Tensor, "n_missing"]
    owners: Int64[Tensor, "n_entries"]
    transposed: Int64[Tensor, "n_entries"]

    @classmethod
    def of(cls, whole: Graph, common: sparse.csr_array, n_neighbors: int) -> Repetitions:
        """Return what repetitions are drawn from, where the graph is.

        Args:
            whole: the softmax over the counts, each entry once.
            common: the number of common items of users and their neighbors.
            n_neighbors: number of entries of a filled row.
        """
        device, sizes = whole.matrix.values.device, np.diff(common.indptr)
        missing = np.repeat(np.arange(len(sizes)), np.where(sizes > 0, np.maximum(n_neighbors - sizes, 0), 0))
        starts = common.indptr[:-1][sizes > 0]
        largest = np.repeat(np.maximum.reduceat(common.data, starts), sizes[sizes > 0]) if len(starts) else common.data
        powers = torch.from_numpy(np.exp(common.data.astype(np.float64) - largest))
        owners = entry_rows(whole.matrix)
        order = (whole.matrix.indices.long() * len(sizes) + owners).sort(stable=True).indices
        return cls(whole, powers.to(device), torch.from_numpy(missing).to(device), owners, order)

    def draw(self, generator: Generator) -> Graph:
        """Return the graph with repetitions, by the distribution of the CPU's draw.

        Args:
            generator: of this device.
        """
        weights = self.powers * self.multiplicities(generator)
        sums = weights.new_zeros(self.whole.shape[0]).index_add_(0, self.owners, weights)
        values = (weights / sums[self.owners]).float()
        matrix, other = self.whole.matrix, self.whole.transposed
        transposed = CSRMatrix(other.offsets, other.indices, values[self.transposed])
        return Graph.of(CSRMatrix(matrix.offsets, matrix.indices, values), transposed, self.whole.shape)

    def multiplicities(self, generator: Generator) -> Int64[Tensor, "n_entries"]:
        """Return how often each entry occurs, as :func:`flatrec.graphs.cooccurrence.drawn_multiplicities` draws it."""
        count, device = len(self.powers), self.powers.device
        edges = torch.zeros(count + 1, dtype=torch.int64, device=device)
        edges[1:] = (exponentials(count, generator, device) * UNIT).long().cumsum(0)
        offsets = self.whole.matrix.offsets.long()
        first, last = offsets[self.rows], offsets[self.rows + 1]
        uniform = torch.rand(len(self.rows), generator=generator, dtype=torch.float64, device=device)
        points = edges[first] + (uniform * (edges[last] - edges[first])).long()
        drawn = torch.searchsorted(edges, points, right=True) - 1
        return 1 + counts(drawn.clamp(min=first, max=last - 1), count)
