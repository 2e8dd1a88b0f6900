"""Tables and maps with their initial values, and the network of one modality that DualGNN and DRAGON share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.data.dataset import Dataset
from flatrec.ops.matmul import Linear
from flatrec.ops.normalize import l2_normalize


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


class Tower(nn.Module):
    """Users by preference and items by features in one space: x = rows of [P ; lrelu(F W1 + b1) W2 + b2] at length 1.

    Args:
        n_users: number of users.
        width: columns of the features.
        hidden_dim: columns between the two maps.
        embedding_dim: columns of the outcome.
    """

    def __init__(self, n_users: int, width: int, *, hidden_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.preference = xavier_normal(n_users, embedding_dim)
        self.wide = Linear(width, hidden_dim)
        self.narrow = Linear(hidden_dim, embedding_dim)

    def forward(self, features: Float[Tensor, "n_items width"]) -> Float[Tensor, "n_nodes dim"]:
        """Users first, then items; every row of length 1."""
        items = self.narrow(F.leaky_relu(self.wide(features)))
        return l2_normalize(torch.cat([self.preference, items]))


def preference_weights(rows: int, modalities: int) -> nn.Parameter:
    """How much each modality counts for each row: at first a softmax of Xavier-normal values, then free."""
    spread = (2 / (rows + modalities)) ** 0.5
    return nn.Parameter((spread * torch.randn(rows, modalities)).softmax(dim=1))


def preference_squares(names: Sequence[str], towers: nn.ModuleList, users: Tensor) -> dict[str, Float[Tensor, ""]]:
    """The mean square of each tower's preferences over rows of a batch, as ``squares/preference_`` with its name."""
    tables = {name: cast(Tower, tower).preference for name, tower in zip(names, towers, strict=True)}
    return {f"squares/preference_{name}": F.embedding(users, table).square().mean() for name, table in tables.items()}
