"""Sparse matrices of neighbors: the largest entries of each row, found in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

BLOCK_ENTRIES = 8_000_000  # similarities that are dense at once: 32 MB


def largest_per_row(block: Float[Tensor, "n_rows n_columns"], n_neighbors: int) -> sparse.csr_array:
    """Return the ``n_neighbors`` largest entries of each row that are not 0; all of them if there are fewer."""
    count = min(n_neighbors, block.shape[1])
    values, columns = block.topk(count, dim=1)
    rows = torch.arange(len(block)).repeat_interleave(count)
    entries = (values.flatten().numpy(), (rows.numpy(), columns.flatten().numpy()))
    largest = sparse.csr_array(entries, shape=tuple(block.shape))
    largest.eliminate_zeros()
    return largest


def neighbor_matrix(
    n_rows: int, n_columns: int, n_neighbors: int, similar: Callable[[slice], Float[Tensor, "block n_columns"]]
) -> sparse.csr_array:
    """Return the largest similarities of each row, computed block by block.

    Args:
        n_rows: number of rows, at least 1.
        n_columns: number of columns.
        n_neighbors: largest number of entries in a row.
        similar: returns the similarities of a block of rows, which are dense for this long.
    """
    step = max(1, BLOCK_ENTRIES // n_columns)
    blocks = [
        largest_per_row(similar(slice(start, min(start + step, n_rows))), n_neighbors)
        for start in range(0, n_rows, step)
    ]
    return sparse.csr_array(sparse.vstack(blocks))
