"""Sparse products whose entries may be learned, such as attention over edges or learned item graphs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn

from flatrec.ops.spmm import row_offsets, weighted_bag_sums

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

    def product(
        self, values: Float[Tensor, "n_edges"], dense: Float[Tensor, "n_columns width"]
    ) -> Float[Tensor, "n_rows width"]:
        """Return the matrix with these values times a dense one, in the higher of their precisions."""
        kind = torch.promote_types(values.dtype, dense.dtype)
        return _product(values.to(kind), dense.to(kind), self, transposed=False)

    def sddmm(
        self, left: Float[Tensor, "n_rows width"], right: Float[Tensor, "n_columns width"]
    ) -> Float[Tensor, "n_edges"]:
        """Return the inner product of the two end rows of every edge."""
        return cast(Tensor, _Inner.apply(left, right, self))  # type: ignore[no-untyped-call]

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
        self.register_buffer("offsets", row_offsets(ends, n_rows).to(kind), persistent=False)
        self.register_buffer("others", others[order].to(kind), persistent=False)

    def forward(
        self, values: Float[Tensor, "n_edges"], dense: Float[Tensor, "n_columns width"]
    ) -> Float[Tensor, "n_rows width"]:
        return weighted_bag_sums(dense, self.others, self.offsets, values.index_select(0, self.order))


def _product(values: Tensor, dense: Tensor, edges: Edges, *, transposed: bool) -> Tensor:
    return cast(Tensor, _Product.apply(values, dense, edges, transposed))  # type: ignore[no-untyped-call]


class _Product(torch.autograd.Function):
    """The sparse product; its derivatives are inner products over the edges and the product with the transpose."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes everything by position
        ctx: Any,  # noqa: ANN401
        values: Tensor,
        dense: Tensor,
        edges: Edges,
        transposed: bool,
    ) -> Tensor:
        ctx.save_for_backward(values, dense)
        ctx.edges, ctx.transposed = edges, transposed
        order = edges.by_column if transposed else edges.by_row
        return cast(Tensor, order(values, dense))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # noqa: ANN401
        values, dense = ctx.saved_tensors
        (gradient,) = gradients
        of_values = of_dense = None
        if ctx.needs_input_grad[0]:
            of_values = ctx.edges.sddmm(*((dense, gradient) if ctx.transposed else (gradient, dense)))
        if ctx.needs_input_grad[1]:
            of_dense = _product(values, gradient, ctx.edges, transposed=not ctx.transposed)
        return of_values, of_dense, None, None


class _Inner(torch.autograd.Function):
    """Inner products over the edges, in blocks, so that no array of n_edges x width is held."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, edges: Edges) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(left, right)
        ctx.edges = edges
        size = max(1, (BLOCK_ENTRIES if left.device.type == "cpu" else HELD) // max(1, left.shape[1]))
        ends = zip(edges.rows.split(size), edges.columns.split(size), strict=True)
        return torch.cat([(left.index_select(0, row) * right.index_select(0, column)).sum(1) for row, column in ends])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401
        left, right = ctx.saved_tensors
        (gradient,) = gradients
        of_left = of_right = None
        if ctx.needs_input_grad[0]:
            of_left = _product(gradient, right, ctx.edges, transposed=False)
        if ctx.needs_input_grad[1]:
            of_right = _product(gradient, left, ctx.edges, transposed=True)
        return of_left, of_right, None
