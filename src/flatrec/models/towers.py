"""The network of one modality that DualGNN and DRAGON have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.models.initial import xavier_normal
from flatrec.ops.matmul import Linear
from flatrec.ops.normalize import l2_normalize


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
    """The mean square of each tower's preferences over rows of a batch, under ``preference_`` and the modality."""
    tables = {name: cast(Tower, tower).preference for name, tower in zip(names, towers, strict=True)}
    return {f"preference_{name}": F.embedding(users, table).square().mean() for name, table in tables.items()}
