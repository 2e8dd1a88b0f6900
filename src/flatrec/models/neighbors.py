"""Sparse matrices of neighbors: the largest entries of each row, found in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy import sparse
from torch import Tensor

BLOCK_ENTRIES = 8_000_000  # similarities that are dense at once: 32 MB


Similar: TypeAlias = Callable[[slice], Tensor]  # dense similarities of a block of rows to all columns


def largest_per_row(block: Float[Tensor, "n_rows n_columns"], n_neighbors: int) -> sparse.csr_array:
    """Return the ``n_neighbors`` largest entries of each row that are not 0; all of them if there are fewer."""
    count = min(n_neighbors, block.shape[1])
    values, columns = block.topk(count, dim=1)
    rows = torch.arange(len(block)).repeat_interleave(count)
    entries = (values.flatten().numpy(), (rows.numpy(), columns.flatten().numpy()))
    largest = sparse.csr_array(entries, shape=(len(block), block.shape[1]))
    largest.eliminate_zeros()
    return largest


def neighbor_matrix(n_rows: int, n_columns: int, n_neighbors: int, similar: Similar) -> sparse.csr_array:
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


def cosines_of_rows(
    rows: sparse.csr_array,
    others: sparse.csr_array,
    *,
    shrinkage: float,
    without_diagonal: bool,
    dtype: type[np.floating] = np.float64,
) -> Similar:
    """Return a function that gives the cosines of a block of rows with the rows of another matrix, damped.

        sim(a, b) = <a, b> / (|a| |b| + shrinkage)

    Args:
        rows: one row per row of the result.
        others: one row per column of the result, of the same width.
        shrinkage: the unit is that of a squared entry.
        without_diagonal: whether entry (a, a) is left out, as both matrices are the same.
        dtype: that of the squared lengths: the products of whole numbers are exact in float32, those of others are not.
    """
    of_rows, of_others = squared_lengths(rows, dtype), squared_lengths(others, dtype)

    def similar(block: slice) -> Float[Tensor, "block n_others"]:
        together = (rows[block] @ others.T).toarray()
        norms = np.sqrt(np.outer(of_rows[block], of_others)).astype(np.float32) + shrinkage
        cosines = torch.from_numpy(np.divide(together, norms, out=np.zeros_like(together), where=norms > 0))
        if without_diagonal:
            cosines.diagonal(block.start).zero_()
        return cosines

    return similar


def squared_lengths(rows: sparse.csr_array, dtype: type[np.floating]) -> Float[ndarray, "n_rows"]:
    """Return the squared length of each row, added up in float64."""
    squares: ndarray = np.asarray(rows.astype(np.float64).power(2).sum(axis=1)).astype(dtype)
    return squares
