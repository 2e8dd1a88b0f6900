"""Initial tables of embeddings."""

from __future__ import annotations

import torch
from torch import nn

from flatrec.data.dataset import Dataset


def node_table(dataset: Dataset, dim: int) -> nn.Parameter:
    """One table for users and then items, each half Xavier-uniform by its own size.

    Raises:
        ValueError: dim is below 1.
    """
    if dim < 1:
        raise ValueError(f"dim must be at least 1, but is {dim}")
    halves = (torch.empty(dataset.n_users, dim), torch.empty(dataset.n_items, dim))
    return nn.Parameter(torch.cat([nn.init.xavier_uniform_(half) for half in halves]))
