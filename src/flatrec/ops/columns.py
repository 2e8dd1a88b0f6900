"""Sums over the columns of tables that several processes share, each of which holds some columns of every table.

A product with a graph works on each column by itself. What needs all columns, such as an inner product of two rows, a
norm or a penalty, is a sum over columns, and passes through this module. Where no columns are shared, as in a single
process, every function returns what it was given. Needs torch alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from flatrec.ops.process_group import ProcessGroup, current_in


class Columns(NamedTuple):
    """Where the columns of the embeddings lie in a parameter.

    Args:
        dim: the dimension of the columns.
        blocks: number of tables that stand side by side in the parameter, each of which has all columns.
    """

    dim: int
    blocks: int = 1


SHORTEST = 1e-8  # no row counts as shorter in a cosine, as in torch

_sharing: list[ProcessGroup] = []  # of the whole process, as gradients have threads of their own


def sharing(group: ProcessGroup | None) -> AbstractContextManager[None]:
    """Context manager in which sums over columns are those of all processes of a group; None for this process alone."""
    return current_in(_sharing, group)


def current_group() -> ProcessGroup | None:
    """Return the processes that share columns; None if this process has them all."""
    return _sharing[-1] if _sharing else None


def column_sum(x: Tensor) -> Tensor:
    """Return the sum over all columns, given the sum over those of this process.

    The gradient is the identity. Every process computes the same loss of the same sums, so that the gradient of the
    loss by a sum is its gradient by each of the summands.
    """
    group = current_group()
    return x if group is None else cast(Tensor, _Sum.apply(x, group))  # type: ignore[no-untyped-call]


def column_mean(x: Tensor) -> Tensor:
    """Return the mean of the entries in all columns, given those of this process."""
    return x.mean() if current_group() is None else column_sum(x.sum()) / n_all_columns(x.numel())


def column_sums(scalars: Sequence[Tensor]) -> list[Tensor]:
    """Return the sum over all columns of several scalars at once, without gradients."""
    group = current_group()
    if group is None:
        return list(scalars)
    total = group.sum(torch.stack([scalar.double() for scalar in scalars]))
    return [one.to(scalar.dtype) for one, scalar in zip(total, scalars, strict=True)]


def column_norm(x: Tensor) -> Tensor:
    """Return the Euclidean norms over all columns, given those over the columns of this process."""
    group = current_group()
    return x if group is None else cast(Tensor, _Norm.apply(x, group))  # type: ignore[no-untyped-call]


def for_columns(x: Tensor) -> Tensor:
    """Return what all processes have alike, for each of them to multiply with its own columns.

    The gradient is the sum over all columns.
    """
    group = current_group()
    return x if group is None else cast(Tensor, _ForColumns.apply(x, group))  # type: ignore[no-untyped-call]


def row_cosines(x: Tensor, y: Tensor) -> Tensor:
    """Return the cosine of each row of a table with the same row of another, over all columns, to multiply them with.

    0 for rows of zeros.
    """
    if current_group() is None:
        return F.cosine_similarity(x, y, dim=1)
    kind = torch.promote_types(x.dtype, y.dtype)
    x, y = x.to(kind), y.to(kind)
    products = [(x * y).sum(dim=1), x.square().sum(dim=1), y.square().sum(dim=1)]
    product, square, other_square = column_sum(torch.stack(products)).unbind()
    lengths = square.clamp_min(SHORTEST**2).sqrt() * other_square.clamp_min(SHORTEST**2).sqrt()
    return for_columns(product / lengths)


def column_dropout(x: Tensor, p: float, training: bool, *, width: int) -> Tensor:
    """Return what ``dropout`` of torch does, by masks that are drawn for all columns alike in all processes.

    Args:
        x: some tables side by side.
        p: fraction of the entries that are set to zero.
        training: whether there is dropout at all.
        width: number of all columns of each table.
    """
    group = current_group()
    if group is None or not training or p == 0:
        return F.dropout(x, p, training)
    own = group.own(width)
    masks = F.dropout(x.new_ones(len(x), x.shape[1] // (own.stop - own.start), width), p)
    return x * masks[:, :, own].flatten(1)


def whole_rows(x: Tensor) -> Tensor:
    """Return a parameter that is no table of columns, but whose rows the processes hold in turn.

    It is multiplied with columns, so that its gradient is the sum of those of all processes.
    """
    group = current_group()
    return x if group is None else cast(Tensor, _WholeRows.apply(x, group))  # type: ignore[no-untyped-call]


def whole_table(x: Tensor) -> Tensor:
    """Return a matrix with all columns, given those of this process, without gradients."""
    group = current_group()
    return x if group is None else group.whole(x, 1)


def n_all_columns(n: int) -> int:
    """Return a number of entries in all columns, given that of this process."""
    group = current_group()
    return n if group is None else int(group.sum(torch.tensor([n], device=group.device)))


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:  # noqa: ANN401, ARG004
        return group.sum(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401, ARG004
        return gradients[0], None


class _ForColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:  # noqa: ANN401
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.group.sum(gradients[0]), None


class _WholeRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:  # noqa: ANN401
        ctx.group = group
        return group.whole(x, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        total = ctx.group.sum(gradients[0])
        return total[ctx.group.own(len(total))], None


class _Norm(torch.autograd.Function):
    """The root of the sum of squares, in float64; the gradient by a norm of this process is that norm / the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:  # noqa: ANN401
        total = group.sum(x.double().square()).sqrt().to(x.dtype)
        ctx.save_for_backward(x, total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        x, total = ctx.saved_tensors
        return gradients[0] * torch.where(total > 0, x / total, torch.zeros_like(total)), None
