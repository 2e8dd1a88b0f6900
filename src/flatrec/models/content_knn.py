"""Content-kNN: items whose features are similar."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, Modalities, SearchSpace
from flatrec.models.item_similarities import ContentConfig, content_cosines, content_rows
from flatrec.models.neighbors import neighbor_matrix
from flatrec.models.scoring import ItemMatrix


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
        return ItemMatrix(self.bought, self.similarities, self.config.similarity())
