"""Rows of a wide table less other rows of it, without gathering either."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.ops.spmm import Rows, product, row_offsets


def differences(
    table: Float[Tensor, "n width"], these: Int64[Tensor, "batch"], those: Int64[Tensor, "batch"]
) -> Float[Tensor, "batch width"]:
    """``table[these] - table[those]`` in one pass over memory, and one for the gradient: a product with 1 and -1.

    Differentiable to any order in the table.
    """
    columns = torch.stack([these, those], dim=1).flatten()
    signs = torch.tensor([1.0, -1.0], dtype=table.dtype, device=table.device).repeat(len(these))
    places = torch.arange(0, len(columns) + 1, 2, device=table.device)
    rows = Rows(places, columns, signs)
    if not table.requires_grad:
        return cast(Tensor, rows(table))
    order = columns.argsort()
    return product(table, rows, Rows(row_offsets(columns, len(table)), order // 2, signs[order]))
