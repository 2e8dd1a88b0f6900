"""Item-kNN: items bought by the same users."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig, SearchSpace
from flatrec.models.item_similarities import item_cosines
from flatrec.models.neighbors import neighbor_matrix
from flatrec.models.scoring import ItemMatrix
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


class ItemKNN(Baseline):
    """Item-based collaborative filtering (Deshpande & Karypis, TOIS 2004, https://doi.org/10.1145/963770.963776).

    With w_ui the weight of an interaction, 1 without weights and 0 without an interaction:

        sim(i, j) = (sum over u of w_ui w_uj) / (sqrt(sum over u of w_ui^2) sqrt(sum over u of w_uj^2) + shrinkage)
        score(u, i) = sum over j of w_uj sim(j, i)

    This is the cosine of the items' columns, shrunk as by Ferrari Dacrema et al. (RecSys 2019,
    https://arxiv.org/abs/1907.06902); a row keeps its ``n_neighbors`` largest. Without weights sim(i, j) is
    |users of both| / (sqrt(|users of i| |users of j|) + shrinkage). The shrinkage has the unit of a squared weight.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> ItemKNN(data).scoring().n_items == data.n_items
        True
    """

    class Config(ModelConfig):
        """Settings of ItemKNN.

        Args:
            n_neighbors: number of similar items that are stored per item.
            shrinkage: damps similarities that rest on few users.
        """

        n_neighbors: PositiveInt = 100
        shrinkage: NonNegativeFloat = 10.0

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.n_neighbors": (20, 50, 100, 200), "model.shrinkage": (0.0, 10.0, 100.0)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        similar = item_cosines(dataset, self.config.shrinkage)
        self.similarities = neighbor_matrix(dataset.n_items, dataset.n_items, self.config.n_neighbors, similar)

    def scoring(self) -> ItemMatrix:
        """Summed similarities to what each user bought, each times its weight."""
        return ItemMatrix(self.bought, self.similarities)
