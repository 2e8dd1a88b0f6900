"""Content-kNN: items whose features are similar."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.features import MissingPolicy
from flatrec.graphs.knn import modality_weights
from flatrec.models.base import Baseline, Modalities, ModelConfig, SearchSpace
from flatrec.models.features import filled_features, require_features
from flatrec.models.neighbors import Similar, neighbor_matrix
from flatrec.models.scoring import ItemMatrix
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_
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


class ContentKNN(Baseline):
    """Content-based neighbors (Ferrari Dacrema et al., RecSys 2019, https://arxiv.org/abs/1907.06902).

    With f_im the features of item i in modality m, c_m the weight of the modality, and w_uj the weight of an
    interaction, 1 without weights:

        sim(j, i) = sum over m of c_m cos(f_jm, f_im)    for j not i
        score(u, i) = sum over j of w_uj sim(j, i)

    A row keeps its ``n_neighbors`` largest similarities above 0. No interaction plays a part in them, so that items
    that nobody has yet are recommended, too.

    Deviations: the weights of modalities, as in FREEDOM's graph of items; the paper has one kind of features.

    Args:
        dataset: gives the features, and the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> ContentKNN(data).scoring().n_items == data.n_items
        True

    Raises:
        ValueError: the data set has no features.
    """

    Config = ContentConfig
    config: ContentConfig
    MODALITIES: ClassVar[Modalities] = "one or more"
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.n_neighbors": (10, 20, 50, 100, 200), "model.image_weight": (0.1, 0.5)}
    )

    def __init__(self, dataset: Dataset, config: ContentConfig | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        similar = content_cosines(content_rows(dataset, self.config))
        self.similarities = neighbor_matrix(dataset.n_items, dataset.n_items, self.config.n_neighbors, similar)

    def scoring(self) -> ItemMatrix:
        """Summed similarities to what each user bought, each times its weight."""
        return ItemMatrix(self.bought, self.similarities)


def content_rows(dataset: Dataset, config: ContentConfig) -> Float[Tensor, "n_items width"]:
    """Return rows whose inner products are the similarities of items; the modalities stand side by side.

    Raises:
        ValueError: the data set has no features.
    """
    require_features(dataset)
    weights = modality_weights(dataset.features, config.image_weight)
    filled = filled_features(dataset, config.missing_modality)
    return torch.cat([l2_normalize_(torch.tensor(filled[name])) * weights[name] ** 0.5 for name in sorted(filled)], 1)


def content_cosines(rows: Float[Tensor, "n_items width"]) -> Similar:
    """Return a function that gives the similarities above 0 of a block of items to all, 0 on the diagonal."""

    def similar(block: slice) -> Float[Tensor, "block n_items"]:
        cosines = linear(rows[block], rows).clamp(min=0)
        cosines.diagonal(block.start).zero_()
        return cosines

    return similar
