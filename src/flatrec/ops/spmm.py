"""The one sparse-times-dense product, forward and backward."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from scipy import sparse
from torch import Tensor, nn


class Graph(nn.Module):
    """A fixed sparse matrix that multiplies dense ones, differentiable to any order in the dense one.

    The product is a weighted bag sum over compressed rows, which on CPUs runs several times faster than torch's
    own sparse products. The backward product needs the transpose: a
    symmetric matrix is its own, any other keeps a second copy.

    Args:
        matrix: the matrix, (n_rows, n_columns); stored entries are kept as they are.
        symmetric: the caller's promise that the matrix equals its transpose.

    Example:
        >>> import numpy as np
        >>> graph = Graph(sparse.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]])), symmetric=False)
        >>> graph(torch.tensor([[1.0], [10.0]])).tolist()
        [[20.0], [1.0]]

    Raises:
        ValueError: declared symmetric but not square.
    """

    def __init__(self, matrix: sparse.csr_array, *, symmetric: bool) -> None:
        super().__init__()
        n_rows, n_columns = matrix.shape
        if symmetric and n_rows != n_columns:
            raise ValueError(f"a symmetric matrix is square, but this one is {n_rows} by {n_columns}")
        self.shape = (int(n_rows), int(n_columns))
        self.rows = _compressed(matrix)
        self.columns = self.rows if symmetric else _compressed(sparse.csr_array(matrix.T))

    def forward(self, dense: Float[Tensor, "n_columns width"]) -> Float[Tensor, "n_rows width"]:
        """The product with a dense matrix, in the precision of the entries, which layers around it may undercut."""
        return product(dense, self.rows, self.columns)

    def coo(self) -> sparse.coo_array:
        """The matrix in SciPy's coordinate form, for inspection and tests."""
        values = self.rows.values.cpu().numpy()
        parts = (values, self.rows.indices.cpu().numpy(), self.rows.offsets.cpu().numpy())
        return sparse.csr_array(parts, shape=self.shape).tocoo()


class Rows(nn.Module):
    """The stored entries row by row; buffers, so that they follow the model to its device but not to disk.

    Row r has the entries from ``offsets[r]`` to ``offsets[r + 1]``; they stand in the columns ``indices``.
    """

    offsets: Int[Tensor, "n_rows_plus_1"]
    indices: Int[Tensor, "n_entries"]
    values: Float[Tensor, "n_entries"]

    def __init__(self, offsets: Tensor, indices: Tensor, values: Tensor) -> None:
        super().__init__()
        for name, one in (("offsets", offsets), ("indices", indices), ("values", values)):
            self.register_buffer(name, one, persistent=False)

    def forward(self, dense: Float[Tensor, "n_columns width"]) -> Float[Tensor, "n_rows width"]:
        """The product with a dense matrix, not differentiable."""
        return weighted_sums(dense, self.indices, self.offsets, self.values)


def weighted_sums(
    dense: Float[Tensor, "n_columns width"],
    indices: Int[Tensor, "n_entries"],
    offsets: Int[Tensor, "n_rows_plus_1"],
    values: Float[Tensor, "n_entries"],
) -> Float[Tensor, "n_rows width"]:
    """The kernel of all sparse products here: for each row, its entries times the rows of ``dense`` that they name."""
    sums, *_ = torch.embedding_bag(
        dense.contiguous(),
        indices,
        offsets,
        mode=0,  # sum
        per_sample_weights=values,
        include_last_offset=True,
    )
    return sums


def row_offsets(ends: Int64[Tensor, "n_entries"], n_rows: int) -> Int64[Tensor, "n_rows_plus_1"]:
    """Where the entries of each row begin and end once they are sorted by row, given the row of each."""
    counts = torch.bincount(ends, minlength=n_rows)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def _compressed(matrix: sparse.csr_array) -> Rows:
    kind = np.int32 if matrix.nnz < 2**31 and matrix.shape[1] < 2**31 else np.int64
    parts = (matrix.indptr.astype(kind), matrix.indices.astype(kind), matrix.data.astype(np.float32))
    return Rows(*(torch.from_numpy(part) for part in parts))


def product(dense: Float[Tensor, "n_columns width"], rows: Rows, columns: Rows) -> Float[Tensor, "n_rows width"]:
    """A sparse matrix, given by its rows and the rows of its transpose, times a dense one."""
    return cast(Tensor, _Product.apply(dense.to(rows.values.dtype), rows, columns))  # type: ignore[no-untyped-call]


class _Product(torch.autograd.Function):
    """rows @ dense, whose derivative is the product with the transpose, and so on."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, rows: Rows, columns: Rows) -> Tensor:  # noqa: ANN401
        ctx.transposed = (columns, rows)
        return cast(Tensor, rows(dense))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        product = _Product.apply(gradients[0], *ctx.transposed)  # type: ignore[no-untyped-call]
        return cast(Tensor, product), None, None
