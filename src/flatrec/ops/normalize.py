"""Rows scaled to length 1."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.columns import current_group
from flatrec.ops.operator import operator
from flatrec.ops.process_group import ProcessGroup

SHORTEST = 1e-12  # rows below count as this long, so that a row of zeros stays what it is
BLOCK_ENTRIES = 2**17  # 512 KB: a few of them stay in the cache of one core together


def l2_normalize(rows: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
    """Return each row divided by its length; a row of zeros stays.

    What ``torch.nn.functional.normalize`` computes, in one pass over memory, and one for the gradient. Differentiable
    to any order. In float32 at least: half precision squares short rows to zero.
    """
    kind = torch.promote_types(rows.dtype, torch.float32)
    outcome, _ = _unit(rows.to(kind))
    return outcome


def unit_rows(rows: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
    """Return what :func:`l2_normalize` does, by the lengths over all columns where processes share them."""
    group = current_group()
    if group is None:
        return l2_normalize(rows)
    kind = torch.promote_types(rows.dtype, torch.float32)
    return cast(Tensor, _SharedUnit.apply(rows.to(kind), group))  # type: ignore[no-untyped-call]


def l2_normalize_(rows: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
    """Scale the rows to length 1 in place, whatever finite length they had; rows of zeros stay."""
    largest = torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))
    rows /= torch.where(largest > 0, largest, 1)  # first near 1, so that no square overflows or vanishes
    rows /= torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(SHORTEST)
    return rows


def _empty_gradient(_gradient: Tensor, rows: Tensor, _factors: Tensor) -> Tensor:
    return torch.empty_like(rows)


@operator("l2_normalize_backward(Tensor gradient, Tensor rows, Tensor factors) -> Tensor", _empty_gradient)
def _gradient(gradient: Tensor, rows: Tensor, factors: Tensor) -> Tensor:
    outcome = torch.empty_like(rows)
    size = _size(rows)
    blocks = zip(*(tensor.split(size) for tensor in (gradient, rows, factors, outcome)), strict=True)
    for slope, block, factor, out in blocks:
        along = (slope * block).sum(dim=1, keepdim=True).mul_(factor * factor)
        torch.addcmul(slope, block, along, value=-1, out=out).mul_(factor)
    return outcome


def _empty_unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(rows), rows.new_empty(rows.shape[0], 1)


def _save(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:  # noqa: ANN401
    ctx.mark_non_differentiable(output[1])  # nothing but the gradient reads the factors
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, output[1])


def _backward(ctx: Any, gradient: Tensor | None, _of_factors: None) -> tuple[Tensor | None]:  # noqa: ANN401
    if gradient is None:
        return (None,)
    rows, factors = ctx.saved_tensors
    if torch.is_grad_enabled():  # it will be differentiated itself
        factors = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(SHORTEST).reciprocal()
        ends = rows * factors
        return ((gradient - ends * (gradient * ends).sum(dim=1, keepdim=True)) * factors,)
    return (_gradient(gradient, rows, factors),)


@operator("l2_normalize(Tensor rows) -> (Tensor, Tensor)", _empty_unit, _save, _backward)
def _unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows divided by their lengths, and what they were multiplied with."""
    outcome = torch.empty_like(rows)
    factors = rows.new_empty(len(rows), 1)
    size = _size(rows)
    for block, out, factor in zip(rows.split(size), outcome.split(size), factors.split(size), strict=True):
        torch.linalg.vector_norm(block, dim=1, keepdim=True, out=factor)
        factor.clamp_min_(SHORTEST).reciprocal_()
        torch.mul(block, factor, out=out)
    return outcome, factors


class _SharedUnit(torch.autograd.Function):
    """(g - e <g, e>) / |x| is the gradient of e = x / |x|; both the norm and the inner product are over all columns."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: ProcessGroup) -> Tensor:  # noqa: ANN401
        lengths = group.sum(rows.square().sum(dim=1, keepdim=True)).sqrt_().clamp_min_(SHORTEST)
        outcome = rows / lengths
        ctx.save_for_backward(outcome, lengths)
        ctx.group = group
        return outcome

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (outcome, lengths), (gradient,) = ctx.saved_tensors, gradients
        along = ctx.group.sum((gradient * outcome).sum(dim=1, keepdim=True))
        return (gradient - outcome * along) / lengths, None


def _size(rows: Tensor) -> int:
    """Return the rows of a block; only the CPU works in blocks, other devices need whole tensors to be busy."""
    return int(max(1, BLOCK_ENTRIES // max(1, rows.shape[1]) if rows.device.type == "cpu" else len(rows)))
