"""Popularity: everyone gets what most people bought."""

from __future__ import annotations

import torch

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig
from flatrec.models.scoring import ItemScores


class Popularity(Baseline):
    """Scores an item by its number of training interactions; two items are similar if their numbers are close.

    If the interactions have weights, the sum of their weights takes the place of the number.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> Popularity(block_dataset()).scoring().n_users == block_dataset().n_users
        True
    """

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        super().__init__(dataset, config)
        self.item_weights = torch.from_numpy(dataset.interactions.item_weights("train")).float()

    def scoring(self) -> ItemScores:
        """The same scores for every user."""
        return ItemScores(self.item_weights, self.sizes[0])
