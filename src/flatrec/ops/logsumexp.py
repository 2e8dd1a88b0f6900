"""Logarithms of sums of exponentials of inner products, without holding all products."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.matmul import matmul
from flatrec.ops.operator import operator

TILE_ROWS, TILE_COLUMNS = 128, 2_048  # inner products held at once by a CPU: 1 MB, which stays in the cache
HELD = 2**27  # inner products held at once on other devices: 512 MB, as few large operations are the fast ones there
LN_2 = math.log(2)  # powers of 2 are up to four times faster than those of e, by the library that makes the latter
SAFE_EXPONENT = 30.0  # e to it, and sums of a billion of these, are far from the limits of float32


def log_sum_exp(
    left: Float[Tensor, "rows dim"], right: Float[Tensor, "n dim"], bound: float = math.inf
) -> Float[Tensor, "rows"]:
    """Return, for each row of ``left``, ln of the sum over the rows of ``right`` of e to their inner product.

    The products are made in tiles, and made again for the gradient. On CPUs, whose tiles stay in the cache, this is
    several times faster than holding all of them.

    Args:
        left: rows that each get a sum.
        right: rows that are summed over.
        bound: what no inner product exceeds in size, where that is known; a small one saves the search for the
            largest product, which keeps e to it finite.
    """
    return _log_sum_exp(left, right, bound <= SAFE_EXPONENT)


def _tile(left: Tensor) -> tuple[int, int]:
    """Return the rows and columns of a tile of products."""
    if left.device.type == "cpu":
        return TILE_ROWS, TILE_COLUMNS
    n_rows = max(1, min(len(left), HELD // TILE_COLUMNS))
    return n_rows, HELD // n_rows


def _empty_sums(left: Tensor, _right: Tensor, _small: bool) -> Tensor:
    return left.new_empty(left.shape[0])


def _empty_gradients(_gradient: Tensor, left: Tensor, right: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(left), right.new_empty(right.shape[1], right.shape[0]).T


@operator(
    "log_sum_exp_backward(Tensor gradient, Tensor left, Tensor right, Tensor sums, bool small) -> (Tensor, Tensor)",
    _empty_gradients,
)
def _gradients(  # noqa: PLR0917 - operators take everything by position
    gradient: Tensor, left: Tensor, right: Tensor, sums: Tensor, small: bool
) -> tuple[Tensor, Tensor]:
    scaled_gradient = gradient * (-sums).exp() if small else gradient
    transposed = right.T.contiguous()  # with few columns, products are several times faster in this layout
    of_left, of_transposed = torch.zeros_like(left), torch.zeros_like(transposed)
    n_rows, n_columns = _tile(left)
    blocks = zip(*(tensor.split(n_rows) for tensor in (left, sums, scaled_gradient, of_left)), strict=True)
    wide = (tensor.split(n_columns, dim=1) for tensor in (transposed, of_transposed))
    tiles = list(zip(right.split(n_columns), *wide, strict=True))
    for block, logarithms, slopes, out in blocks:
        weighted = (block * slopes[:, None]).T.contiguous()
        scaled = block / LN_2
        for tile, transposed_tile, out_tile in tiles:
            products = matmul(scaled, transposed_tile)
            weights = (products if small else products.sub_(logarithms[:, None] / LN_2)).exp2_()
            out.add_(matmul(weights, tile))
            out_tile.add_(matmul(weighted, weights))
    return of_left * scaled_gradient[:, None], of_transposed.T


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:  # noqa: ANN401
    left, right, ctx.small = inputs
    ctx.save_for_backward(left, right, output)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
    left, right, sums = ctx.saved_tensors
    if torch.is_grad_enabled():  # it will be differentiated itself
        weights = (left @ right.T).softmax(dim=1) * gradient[:, None]
        return weights @ right, weights.T @ left, None
    return *_gradients(gradient, left, right, sums, ctx.small), None


@operator("log_sum_exp(Tensor left, Tensor right, bool small) -> Tensor", _empty_sums, _save, _backward)
def _log_sum_exp(left: Tensor, right: Tensor, small: bool) -> Tensor:
    n_rows, n_columns = _tile(left)
    tiles = right.T.contiguous().split(n_columns, dim=1)
    if small:
        blocks = (left / LN_2).split(n_rows)
        tiled = ([matmul(block, tile).exp2_().sum(dim=1) for tile in tiles] for block in blocks)
        sums = [torch.stack(sums_of_tiles).sum(dim=0).log_() for sums_of_tiles in tiled]
    else:
        tiled = ([matmul(block, tile).logsumexp(dim=1) for tile in tiles] for block in left.split(n_rows))
        sums = [torch.stack(sums_of_tiles).logsumexp(dim=0) for sums_of_tiles in tiled]
    return torch.cat(sums)
