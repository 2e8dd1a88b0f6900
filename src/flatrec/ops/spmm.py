"""The product of a sparse and a dense matrix, forward and backward."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.ops.bag_sums import Pieces, bag_sums, cut_rows, split_bag_sums
from flatrec.ops.counts import counts
from flatrec.ops.operator import operator


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


class PieceBuffers(nn.Module):
    """Buffers of the pieces of long rows, if there are any."""

    starts: Tensor | None
    numbers: Tensor
    offsets: Tensor

    def __init__(self, pieces: Pieces | None) -> None:
        super().__init__()
        for name in Pieces._fields:
            self.register_buffer(name, None if pieces is None else getattr(pieces, name), persistent=False)

    @property
    def arrays(self) -> list[Tensor]:
        """The arrays of :class:`flatrec.ops.bag_sums.Pieces`; none if rows stay whole."""
        return [] if self.starts is None else [self.starts, self.numbers, self.offsets]


class CSRMatrix(nn.Module):
    """A sparse matrix in compressed rows; its buffers follow the model to its device but are not saved with it.

    Row r has the entries from ``offsets[r]`` to ``offsets[r + 1]``; ``indices`` holds the column of each entry.

    Args:
        offsets: where each row begins, and the end of the last one.
        indices: the column of each entry.
        values: the value of each entry.
        cut: whether long rows are cut for other devices than the CPU, which pays if the matrix is used more than once.
    """

    offsets: Int[Tensor, "n_rows_plus_1"]
    indices: Int[Tensor, "n_entries"]
    values: Float[Tensor, "n_entries"]

    def __init__(self, offsets: Tensor, indices: Tensor, values: Tensor, *, cut: bool = True) -> None:
        super().__init__()
        for name, buffer in (("offsets", offsets), ("indices", indices), ("values", values)):
            self.register_buffer(name, buffer, persistent=False)
        self.pieces = PieceBuffers(cut_rows(offsets, len(indices)) if cut else None)
        self._rounded: CSRMatrix | None = None

    @property
    def arrays(self) -> list[Tensor]:
        """The three arrays, and those of the pieces if there are any, as operators take them."""
        return [self.offsets, self.indices, self.values, *self.pieces.arrays]

    def rounded(self, dtype: torch.dtype) -> CSRMatrix:
        """Return the same matrix with its entries in another type; the last one is kept."""
        if self._rounded is None or self._rounded.values.dtype != dtype:
            self._rounded = CSRMatrix(self.offsets, self.indices, self.values.to(dtype), cut=False)
            self._rounded.pieces = self.pieces
        return self._rounded

    def forward(self, dense: Float[Tensor, "n_columns width"]) -> Float[Tensor, "n_rows width"]:
        """Return the product with a dense matrix, not differentiable."""
        return product(dense, self.arrays, split=dense.device.type != "cpu")


def product(dense: Tensor, matrix: list[Tensor], *, split: bool) -> Tensor:
    """Return the product of a sparse matrix, given by :attr:`CSRMatrix.arrays`, and a dense one.

    Args:
        dense: the dense matrix.
        matrix: the arrays of the sparse one.
        split: whether long rows are cut into their pieces, which is for GPUs.
    """
    offsets, indices, values, *pieces = matrix
    if split and pieces:
        return split_bag_sums(dense, pieces, indices, values)
    return bag_sums(dense, offsets, indices, values)


def row_offsets(ends: Int64[Tensor, "n_entries"], n_rows: int) -> Int64[Tensor, "n_rows_plus_1"]:
    """Return where the entries of each row begin and end once they are sorted by row, given the row of each entry."""
    sizes = counts(ends, n_rows)
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


def _csr(matrix: sparse.csr_array) -> CSRMatrix:
    kind = np.int32 if matrix.nnz < 2**31 and matrix.shape[1] < 2**31 else np.int64
    arrays = (matrix.indptr.astype(kind), matrix.indices.astype(kind), matrix.data.astype(np.float32))
    return CSRMatrix(*(torch.from_numpy(array) for array in arrays))


def spmm(
    dense: Float[Tensor, "n_columns width"], matrix: CSRMatrix, transposed: CSRMatrix
) -> Float[Tensor, "n_rows width"]:
    """Return a sparse matrix, given with its transpose, times a dense one; differentiable in the dense one."""
    return _spmm(dense.to(matrix.values.dtype), matrix.arrays, transposed.arrays)


def row_differences(
    table: Float[Tensor, "n width"], rows: Int64[Tensor, "batch"], subtracted: Int64[Tensor, "batch"]
) -> Float[Tensor, "batch width"]:
    """Return ``table[rows] - table[subtracted]`` by a product with 1 and -1, without gathering either.

    It passes over memory once, and once more for the gradient. Differentiable to any order in the table. Other devices
    than the CPU gather both, as they would have to wait for the number of rows to sort.
    """
    if table.device.type != "cpu":
        return F.embedding(rows, table) - F.embedding(subtracted, table)
    columns = torch.stack([rows, subtracted], dim=1).flatten()
    signs = torch.tensor([1.0, -1.0], dtype=table.dtype, device=table.device).repeat(len(rows))
    offsets = torch.arange(0, len(columns) + 1, 2, device=table.device)
    matrix = CSRMatrix(offsets, columns, signs, cut=False)
    if not table.requires_grad:
        return cast(Tensor, matrix(table))
    order = columns.argsort()
    return spmm(table, matrix, CSRMatrix(row_offsets(columns, len(table)), order // 2, signs[order], cut=False))


def _empty_product(dense: Tensor, matrix: list[Tensor], _transposed: list[Tensor]) -> Tensor:
    return dense.new_empty(matrix[0].shape[0] - 1, dense.shape[1])


def _save(ctx: Any, inputs: tuple[Tensor, list[Tensor], list[Tensor]], _output: Tensor) -> None:  # noqa: ANN401
    ctx.matrices = inputs[1:]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
    matrix, transposed = ctx.matrices
    return _spmm(gradient, transposed, matrix), None, None


@operator("spmm(Tensor dense, Tensor[] matrix, Tensor[] transposed) -> Tensor", _empty_product, _save, _backward)
def _spmm(dense: Tensor, matrix: list[Tensor], transposed: list[Tensor]) -> Tensor:  # noqa: ARG001 - for the gradient
    """Matrix @ dense, whose derivative is the product with the transpose, and so on."""
    return product(dense, matrix, split=dense.device.type != "cpu")
