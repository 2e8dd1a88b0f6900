"""Similarities of items: by the users who bought both, and by their features."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.features import MissingPolicy
from flatrec.graphs.knn import modality_weights
from flatrec.models.base import ModelConfig
from flatrec.models.content_similarity import ContentSimilarity, unit_rows
from flatrec.models.features import filled_features, require_features
from flatrec.models.neighbors import Similar, cosines_of_rows
from flatrec.ops.matmul import linear
from flatrec.utils.ranges import Fraction, PositiveInt


class ContentConfig(ModelConfig):
    """Settings of a baseline that compares items by their features.

    Args:
        n_neighbors: number of similar items that are stored per item.
        image_weight: weight of the modality called ``image``; the others divide the rest evenly.
        missing_modality: what an item without a modality gets: the mean of the items that have it, or zeros, which are
            similar to nothing.
    """

    n_neighbors: PositiveInt = 50
    image_weight: Fraction = 0.1
    missing_modality: MissingPolicy = "mean"

    def similarity(self, weight: float = 1.0) -> ContentSimilarity:
        """Return how items without interactions are compared, by features times a weight."""
        return ContentSimilarity(self.n_neighbors, weight, self.image_weight, self.missing_modality)


def item_cosines(dataset: Dataset, shrinkage: float) -> Similar:
    """Return a function that gives sim(i, j) for a block of items i and all items j, 0 on the diagonal."""
    by_item = sparse.csr_array(dataset.interactions.weight_matrix("train").T)
    dtype = np.float32 if dataset.interactions.weights is None else np.float64
    return cosines_of_rows(by_item, by_item, shrinkage=shrinkage, without_diagonal=True, dtype=dtype)


def content_rows(dataset: Dataset, config: ContentConfig) -> Float[Tensor, "n_items width"]:
    """Return rows whose inner products are the similarities of items; the modalities stand side by side.

    Raises:
        ValueError: the data set has no features.
    """
    require_features(dataset)
    weights = modality_weights(dataset.features, config.image_weight)
    filled = filled_features(dataset, config.missing_modality)
    return torch.cat([unit_rows(filled[name], weights[name]) for name in sorted(filled)], 1)


def content_cosines(rows: Float[Tensor, "n_items width"]) -> Similar:
    """Return a function that gives the similarities above 0 of a block of items to all, 0 on the diagonal."""

    def similar(block: slice) -> Float[Tensor, "block n_items"]:
        cosines = linear(rows[block], rows).clamp(min=0)
        cosines.diagonal(block.start).zero_()
        return cosines

    return similar
