"""Users and items in layers of a network: two tables on a CPU, one table on a device that is slowed by many operations.

What a layer does with each row is written for a list of tables, and gives the same rows either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.matmul import matmul
from flatrec.ops.operator import operator
from flatrec.ops.spmm import Graph, product


def as_tables(users: Float[Tensor, "n_users width"], items: Float[Tensor, "n_items width"]) -> list[Tensor]:
    """Return the rows of users and those of items: apart on a CPU, elsewhere in one table."""
    return [users, items] if users.device.type == "cpu" else [torch.cat([users, items])]


def split_table(rows: Float[Tensor, "n_nodes width"], sizes: Sequence[int]) -> list[Tensor]:
    """Return a table of users and then items as :func:`as_tables` does; ``sizes`` are the numbers of both."""
    return list(rows.split(list(sizes))) if rows.device.type == "cpu" else [rows]


def neighbor_products(
    to_users: Graph, to_items: Graph, tables: Sequence[Float[Tensor, "_ width"]], weight: Float[Tensor, "width dim"]
) -> list[Tensor]:
    """Return what users get of items, and items of users, times a matrix.

    Args:
        to_users: matrix with a row per user and a column per item.
        to_items: matrix with a row per item and a column per user.
        tables: the rows of users and items, as :func:`as_tables` returns them.
        weight: the matrix.

    Returns:
        The products, in as many tables.
    """
    if len(tables) == 1:
        return [both_ways(to_users, to_items, matmul(tables[0], weight))]
    users, items = tables
    # The wide product is taken on the side that is the smaller, before or after the sparse ones.
    if len(items) <= len(users):
        return [to_users(matmul(items, weight)), matmul(to_items(users), weight)]
    return [matmul(to_users(items), weight), to_items(matmul(users, weight))]


def both_ways(
    to_users: Graph, to_items: Graph, nodes: Float[Tensor, "n_nodes width"]
) -> Float[Tensor, "n_nodes width"]:
    """Return what users get of items, and then what items get of users, by rows of users and then items."""
    there = to_users.matrix.arrays, to_items.matrix.arrays
    back = to_items.transposed.arrays, to_users.transposed.arrays
    return _both_ways(nodes.to(to_users.matrix.values.dtype), *there, *back)


def _empty_products(nodes: Tensor, *_matrices: object) -> Tensor:
    return torch.empty_like(nodes, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:  # noqa: ANN401
    ctx.matrices = inputs[1:]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    to_users, to_items, back_to_users, back_to_items = ctx.matrices
    return _both_ways(gradient, back_to_users, back_to_items, to_users, to_items), None, None, None, None


@operator(
    "both_ways(Tensor nodes, Tensor[] to_users, Tensor[] to_items, Tensor[] back_to_users, Tensor[] back_to_items)"
    " -> Tensor",
    _empty_products,
    _save,
    _backward,
)
def _both_ways(  # noqa: PLR0917 - operators take everything by position
    nodes: Tensor,
    to_users: list[Tensor],
    to_items: list[Tensor],
    back_to_users: list[Tensor],  # noqa: ARG001 - for the gradient
    back_to_items: list[Tensor],  # noqa: ARG001 - for the gradient
) -> Tensor:
    n_users, split = to_users[0].shape[0] - 1, nodes.device.type != "cpu"
    parts = product(nodes[n_users:], to_users, split=split), product(nodes[:n_users], to_items, split=split)
    return torch.cat(parts)
