"""Sparse products whose entries may be learned, such as attention over edges or learned item graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn

from flatrec.ops.bag_sums import cut_rows
from flatrec.ops.operator import operator
from flatrec.ops.spmm import PieceBuffers, product, row_offsets

BLOCK_ENTRIES = 200_000  # values gathered at once by a CPU for inner products over edges: they stay in the cache
HELD = 2**27  # values gathered at once on other devices: 512 MB, as few large operations are the fast ones there


class Edges(nn.Module):
    """The positions of the entries of a sparse matrix; their values are arguments of each product.

    Edge e leads from column ``columns[e]`` to row ``rows[e]``. Edges keep their order, and two edges may have the same
    ends (their values add up). All products are differentiable to any order in all of their arguments.

    Args:
        rows: the row of each edge, in [0, shape[0]); edges that are given by tensors are on their device.
        columns: the column of each edge, in [0, shape[1]).
        shape: of the matrix.

    Example:
        >>> edges = Edges(np.array([0, 0, 1]), np.array([0, 1, 1]), (2, 2))
        >>> edges.product(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0], [10.0]])).tolist()
        [[21.0], [30.0]]
    """

    rows: Int64[Tensor, "n_edges"]
    columns: Int64[Tensor, "n_edges"]

    def __init__(
        self,
        rows: Shaped[ndarray, "n_edges"] | Int[Tensor, "n_edges"],
        columns: Shaped[ndarray, "n_edges"] | Int[Tensor, "n_edges"],
        shape: tuple[int, int],
    ) -> None:
        super().__init__()
        self.shape = shape
        for name, ends in (("rows", rows), ("columns", columns)):
            given = ends if isinstance(ends, Tensor) else torch.from_numpy(ends.astype(np.int64))
            self.register_buffer(name, given.long(), persistent=False)
        self.by_row = _Order(self.rows, self.columns, shape)
        self.by_column = _Order(self.columns, self.rows, shape[::-1])

    @property
    def _arrays(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        return [self.rows, self.columns], self.by_row.arrays, self.by_column.arrays

    def product(
        self, values: Float[Tensor, "n_edges"], dense: Float[Tensor, "n_columns width"]
    ) -> Float[Tensor, "n_rows width"]:
        """Return the matrix with these values times a dense one, in the higher of their precisions."""
        kind = torch.promote_types(values.dtype, dense.dtype)
        return _product(values.to(kind), dense.to(kind), *self._arrays)

    def sddmm(
        self, left: Float[Tensor, "n_rows width"], right: Float[Tensor, "n_columns width"]
    ) -> Float[Tensor, "n_edges"]:
        """Return the inner product of the two end rows of every edge."""
        return _inner(left, right, *self._arrays)

    def row_sums(self, values: Float[Tensor, "n_edges"]) -> Float[Tensor, "n_rows"]:
        """Return the sum of the values of each row."""
        return values.new_zeros(self.shape[0]).index_add(0, self.rows, values)

    def softmax(self, logits: Float[Tensor, "n_edges"]) -> Float[Tensor, "n_edges"]:
        """Return the softmax over the edges of each row."""
        lowest = logits.new_full((self.shape[0],), -torch.inf)
        largest = lowest.scatter_reduce(0, self.rows, logits.detach(), "amax")
        powers = (logits - largest.index_select(0, self.rows)).exp()
        return powers / self.row_sums(powers).index_select(0, self.rows)


class _Order(nn.Module):
    """The edges sorted by one of their ends, as compressed rows."""

    order: Int64[Tensor, "n_edges"]
    offsets: Int[Tensor, "n_rows_plus_1"]
    others: Int[Tensor, "n_edges"]

    def __init__(
        self, ends: Int64[Tensor, "n_edges"], others: Int64[Tensor, "n_edges"], shape: tuple[int, int]
    ) -> None:
        super().__init__()
        n_rows, n_others = shape
        order = torch.argsort(ends, stable=True)
        self.register_buffer("order", order, persistent=False)
        kind = torch.int32 if max(len(ends), n_others) < 2**31 else torch.int64  # the smaller is the faster
        offsets = row_offsets(ends, n_rows).to(kind)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("others", others[order].to(kind), persistent=False)
        self.pieces = PieceBuffers(cut_rows(offsets, len(ends)))

    @property
    def arrays(self) -> list[Tensor]:
        """The arrays, as operators take them."""
        return [self.order, self.offsets, self.others, *self.pieces.arrays]


def _ordered_product(values: Tensor, dense: Tensor, order: list[Tensor]) -> Tensor:
    """Return the sparse product by the arrays of an order of the edges."""
    numbers, *matrix = order
    offsets, others, *pieces = matrix
    ordered = [offsets, others, values.index_select(0, numbers), *pieces]
    return product(dense, ordered, split=dense.device.type != "cpu")


# Each operator is given the two ends of the edges, and the orders by the first and by the second end. Exchanging both
# transposes the matrix.


def _empty_product(
    _values: Tensor, dense: Tensor, _ends: list[Tensor], order: list[Tensor], _other: list[Tensor]
) -> Tensor:
    return dense.new_empty(order[1].shape[0] - 1, dense.shape[1])


def _empty_inner(
    left: Tensor, _right: Tensor, ends: list[Tensor], _order: list[Tensor], _other: list[Tensor]
) -> Tensor:
    return left.new_empty(ends[0].shape[0])


def _save(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:  # noqa: ANN401
    ctx.save_for_backward(*inputs[:2])
    ctx.edges = inputs[2:]


def _product_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    (values, dense), (ends, order, other) = ctx.saved_tensors, ctx.edges
    of_values, of_dense, *_ = ctx.needs_input_grad
    return (
        _inner(gradient, dense, ends, order, other) if of_values else None,
        _product(values, gradient, ends[::-1], other, order) if of_dense else None,
        None,
        None,
        None,
    )


def _inner_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    (left, right), (ends, order, other) = ctx.saved_tensors, ctx.edges
    of_left, of_right, *_ = ctx.needs_input_grad
    return (
        _product(gradient, right, ends, order, other) if of_left else None,
        _product(gradient, left, ends[::-1], other, order) if of_right else None,
        None,
        None,
        None,
    )


@operator(
    "edge_product(Tensor values, Tensor dense, Tensor[] ends, Tensor[] order, Tensor[] other) -> Tensor",
    _empty_product,
    _save,
    _product_backward,
)
def _product(  # noqa: PLR0917 - operators take everything by position
    values: Tensor,
    dense: Tensor,
    ends: list[Tensor],  # noqa: ARG001 - for the gradient
    order: list[Tensor],
    other: list[Tensor],  # noqa: ARG001 - for the gradient
) -> Tensor:
    """The sparse product; its derivatives are inner products over the edges and the product with the transpose."""
    return _ordered_product(values, dense, order)


@operator(
    "sddmm(Tensor left, Tensor right, Tensor[] ends, Tensor[] order, Tensor[] other) -> Tensor",
    _empty_inner,
    _save,
    _inner_backward,
)
def _inner(  # noqa: PLR0917 - operators take everything by position
    left: Tensor,
    right: Tensor,
    ends: list[Tensor],
    order: list[Tensor],  # noqa: ARG001 - for the gradient
    other: list[Tensor],  # noqa: ARG001 - for the gradient
) -> Tensor:
    """Inner products over the edges, in blocks, so that no array of n_edges x width is held."""
    size = max(1, (BLOCK_ENTRIES if left.device.type == "cpu" else HELD) // max(1, left.shape[1]))
    blocks = zip(*(end.split(size) for end in ends), strict=True)
    return torch.cat([(left.index_select(0, row) * right.index_select(0, column)).sum(1) for row, column in blocks])
