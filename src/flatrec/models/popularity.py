"""Popularity: everyone gets what most people bought."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig


class Popularity(Baseline):
    """Scores an item by its number of training interactions; two items are similar if their numbers are close.

    If the interactions have weights, the sum of their weights takes the place of the number.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> Popularity(block_dataset()).scores(torch.tensor([0])).ndim
        2
    """

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        super().__init__(dataset, config)
        self.item_weights = torch.from_numpy(dataset.interactions.item_weights("train")).float()

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """The same scores for every user."""
        return self.item_weights.expand(len(users), -1)

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Minus the difference in scores."""
        return 0 - (self.item_weights - self.item_weights[item]).abs()
