"""Hybrid-kNN: items bought by the same users, mixed with items whose features are similar."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, Modalities, SearchSpace
from flatrec.models.item_similarities import ContentConfig, content_cosines, content_rows, item_cosines
from flatrec.models.neighbors import neighbor_matrix
from flatrec.models.scoring import ItemMatrix
from flatrec.utils.ranges import Fraction, NonNegativeFloat


class HybridKNN(Baseline):
    """Item-kNN with features (Ferrari Dacrema et al., RecSys 2019, https://arxiv.org/abs/1907.06902).

    With sim_users the similarity of item-knn, sim_content that of content-knn, and c the ``content_weight``:

        sim(j, i) = (1 - c) sim_users(j, i) + c sim_content(j, i)    for j not i
        score(u, i) = sum over j of w_uj sim(j, i)

    A row keeps its ``n_neighbors`` largest similarities.

    Deviations: ItemKNN-CFCBF of the paper appends the weighted features to each item's column of interactions, and
    takes one cosine of both; here two cosines are mixed, so that the weight means the same for features of any width.

    Args:
        dataset: gives the features, and the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> HybridKNN(data).scoring().n_items == data.n_items
        True

    Raises:
        ValueError: the data set has no features.
    """

    class Config(ContentConfig):
        """Settings of HybridKNN.

        Args:
            shrinkage: damps similarities by users that rest on few users.
            content_weight: weight of the similarities by features (c).
        """

        shrinkage: NonNegativeFloat = 10.0
        content_weight: Fraction = 0.1

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.n_neighbors": (50, 100, 200), "model.content_weight": (0.02, 0.1, 0.3), "model.shrinkage": (0.0, 10.0)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        by_content = content_cosines(content_rows(dataset, self.config))
        by_users = item_cosines(dataset, self.config.shrinkage)
        weight = self.config.content_weight

        def similar(block: slice) -> Float[Tensor, "block n_items"]:
            return by_users(block).lerp(by_content(block), weight)

        self.similarities = neighbor_matrix(dataset.n_items, dataset.n_items, self.config.n_neighbors, similar)

    def scoring(self) -> ItemMatrix:
        """Summed similarities to what each user bought, each times its weight."""
        return ItemMatrix(self.bought, self.similarities, self.config.similarity(self.config.content_weight))
