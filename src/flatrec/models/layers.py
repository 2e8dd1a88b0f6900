"""Tables and maps with their initial values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.ops.matmul import Linear


def node_table(
    dataset: Dataset, embedding_dim: int, draw: Callable[[Tensor], Tensor] = nn.init.xavier_uniform_
) -> nn.Parameter:
    """One table for users and then items, each half drawn by its own size, Xavier-uniform if nothing else is said."""
    return nn.Parameter(
        torch.cat([draw(torch.empty(rows, embedding_dim)) for rows in (dataset.n_users, dataset.n_items)])
    )


def xavier_uniform(rows: int, columns: int) -> nn.Parameter:
    """A Xavier-uniform table."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def xavier_normal(rows: int, columns: int) -> nn.Parameter:
    """A Xavier-normal table."""
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(rows, columns)))


def xavier_linear(inputs: int, outputs: int, *, zero_bias: bool = False) -> Linear:
    """A linear map with Xavier-normal weights; its biases are torch's own or zero."""
    layer = Linear(inputs, outputs)
    nn.init.xavier_normal_(layer.weight)
    if zero_bias:
        nn.init.zeros_(layer.bias)
    return layer


def uniform_linear(inputs: int, outputs: int) -> Linear:
    """A linear map with Xavier-uniform weights and torch's own biases."""
    layer = Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    return layer
