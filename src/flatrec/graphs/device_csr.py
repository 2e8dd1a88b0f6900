"""Sparse matrices in compressed rows, made on any device without waiting for it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.ops.spmm import CSRMatrix, Graph, row_offsets


def csr(
    rows: Int64[Tensor, "n_entries"],
    columns: Int64[Tensor, "n_entries"],
    values: Float[Tensor, "n_entries"],
    shape: tuple[int, int],
) -> CSRMatrix:
    """Return a matrix by the ends of its entries, in any order; entries with the same ends stay apart and add up."""
    n_rows, n_columns = shape
    order = (rows * n_columns + columns).sort(stable=True).indices
    kind = torch.int32 if max(len(rows), n_columns) < 2**31 else torch.int64
    return CSRMatrix(row_offsets(rows, n_rows).to(kind), columns[order].to(kind), values[order].float())


def graph_of(
    rows: Int64[Tensor, "n_entries"],
    columns: Int64[Tensor, "n_entries"],
    values: Float[Tensor, "n_entries"],
    shape: tuple[int, int],
) -> Graph:
    """Return the graph with these entries; it is not taken to be symmetric."""
    return Graph.of(csr(rows, columns, values, shape), csr(columns, rows, values, shape[::-1]), shape)


def entry_rows(matrix: CSRMatrix) -> Int64[Tensor, "n_entries"]:
    """Return the row of each entry of a matrix."""
    offsets = matrix.offsets.long()
    rows = torch.arange(len(offsets) - 1, device=offsets.device)
    return rows.repeat_interleave(offsets.diff(), output_size=len(matrix.indices))
