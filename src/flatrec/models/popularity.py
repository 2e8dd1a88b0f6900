"""Popularity: everyone gets what most people bought."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig


class Popularity(Baseline):
    """Scores an item by its number of training interactions; two items are similar if their counts are close.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> Popularity(block_dataset()).scores(torch.tensor([0])).ndim
        2
    """

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        super().__init__(dataset, config)
        self.counts = torch.tensor(dataset.interactions.item_counts("train")).float()

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """The same counts for every user."""
        return self.counts.expand(len(users), -1)

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Minus the difference in counts."""
        return 0 - (self.counts - self.counts[item]).abs()
