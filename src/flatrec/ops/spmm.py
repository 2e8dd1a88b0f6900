"""The product of a sparse and a dense matrix, forward and backward."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from scipy import sparse
from torch import Tensor, nn

from flatrec.ops.counts import counts


class Graph(nn.Module):
    """A fixed sparse matrix that multiplies dense ones, differentiable to any order in the dense one.

    The product is a weighted bag sum over compressed rows, which on CPUs runs several times faster than torch's own
    sparse products. The backward product needs the transpose: a symmetric matrix is its own transpose, any other
    matrix keeps its transpose as a second copy.

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
        self.matrix = _csr(matrix)
        self.transposed = self.matrix if symmetric else _csr(sparse.csr_array(matrix.T))

    @classmethod
    def of(cls, matrix: CSRMatrix, transposed: CSRMatrix, shape: tuple[int, int]) -> Graph:
        """Return the graph of a matrix that is given with its transpose, which is itself if it is symmetric."""
        n_rows, n_columns = shape
        graph = cls(sparse.csr_array((n_rows, n_columns)), symmetric=False)
        graph.matrix, graph.transposed = matrix, transposed
        return graph

    def forward(self, dense: Float[Tensor, "n_columns width"]) -> Float[Tensor, "n_rows width"]:
        """Return the product with a dense matrix, in the precision of the stored entries."""
        return spmm(dense, self.matrix, self.transposed)

    def coo(self) -> sparse.coo_array:
        """Return the matrix in SciPy's coordinate form, for inspection and tests."""
        arrays = [buffer.cpu().numpy() for buffer in (self.matrix.values, self.matrix.indices, self.matrix.offsets)]
        return sparse.csr_array(tuple(arrays), shape=self.shape).tocoo()


class CSRMatrix(nn.Module):
    """A sparse matrix in compressed rows; its buffers follow the model to its device but are not saved with it.

    Row r has the entries from ``offsets[r]`` to ``offsets[r + 1]``; ``indices`` holds the column of each entry.
    """

    offsets: Int[Tensor, "n_rows_plus_1"]
    indices: Int[Tensor, "n_entries"]
    values: Float[Tensor, "n_entries"]

    def __init__(self, offsets: Tensor, indices: Tensor, values: Tensor) -> None:
        super().__init__()
        for name, buffer in (("offsets", offsets), ("indices", indices), ("values", values)):
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, dense: Float[Tensor, "n_columns width"]) -> Float[Tensor, "n_rows width"]:
        """Return the product with a dense matrix, not differentiable."""
        return weighted_bag_sums(dense, self.indices, self.offsets, self.values)


def weighted_bag_sums(
    dense: Float[Tensor, "n_columns width"],
    indices: Int[Tensor, "n_entries"],
    offsets: Int[Tensor, "n_rows_plus_1"],
    values: Float[Tensor, "n_entries"],
) -> Float[Tensor, "n_rows width"]:
    """Return the kernel of all sparse products: for each row, the sum of its entries times rows of ``dense``."""
    return nn.functional.embedding_bag(
        indices, dense.contiguous(), offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def row_offsets(ends: Int64[Tensor, "n_entries"], n_rows: int) -> Int64[Tensor, "n_rows_plus_1"]:
    """Return where the entries of each row begin and end once they are sorted by row, given the row of each entry."""
    lengths = counts(ends, n_rows)
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def _csr(matrix: sparse.csr_array) -> CSRMatrix:
    kind = np.int32 if matrix.nnz < 2**31 and matrix.shape[1] < 2**31 else np.int64
    arrays = (matrix.indptr.astype(kind), matrix.indices.astype(kind), matrix.data.astype(np.float32))
    return CSRMatrix(*(torch.from_numpy(array) for array in arrays))


def spmm(
    dense: Float[Tensor, "n_columns width"], matrix: CSRMatrix, transposed: CSRMatrix
) -> Float[Tensor, "n_rows width"]:
    """Return a sparse matrix, given with its transpose, times a dense one; differentiable in the dense one."""
    return cast(Tensor, _Product.apply(dense.to(matrix.values.dtype), matrix, transposed))  # type: ignore[no-untyped-call]


def row_differences(
    table: Float[Tensor, "n width"], rows: Int64[Tensor, "batch"], subtracted: Int64[Tensor, "batch"]
) -> Float[Tensor, "batch width"]:
    """Return ``table[rows] - table[subtracted]`` by a product with 1 and -1, without gathering either.

    It passes over memory once, and once more for the gradient. Differentiable to any order in the table.
    """
    columns = torch.stack([rows, subtracted], dim=1).flatten()
    signs = torch.tensor([1.0, -1.0], dtype=table.dtype, device=table.device).repeat(len(rows))
    offsets = torch.arange(0, len(columns) + 1, 2, device=table.device)
    matrix = CSRMatrix(offsets, columns, signs)
    if not table.requires_grad:
        return cast(Tensor, matrix(table))
    order = columns.argsort()
    return spmm(table, matrix, CSRMatrix(row_offsets(columns, len(table)), order // 2, signs[order]))


class _Product(torch.autograd.Function):
    """matrix @ dense, whose derivative is the product with the transpose, and so on."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: CSRMatrix, transposed: CSRMatrix) -> Tensor:  # noqa: ANN401
        ctx.transposed = (transposed, matrix)
        return cast(Tensor, matrix(dense))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        product = _Product.apply(gradients[0], *ctx.transposed)  # type: ignore[no-untyped-call]
        return cast(Tensor, product), None, None
