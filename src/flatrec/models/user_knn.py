"""User-kNN: what similar users bought."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig, SearchSpace
from flatrec.models.neighbors import cosines_of_rows, neighbor_matrix
from flatrec.models.scoring import UserMatrix
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


class UserKNN(Baseline):
    """User-based collaborative filtering (Resnick et al., CSCW 1994, https://doi.org/10.1145/192844.192905).

    In the form for interactions without ratings by Ferrari Dacrema et al. (RecSys 2019,
    https://arxiv.org/abs/1907.06902): with w_ui the weight of an interaction, 1 without weights and 0 without an
    interaction,

        sim(u, v) = (sum over i of w_ui w_vi) / (sqrt(sum over i of w_ui^2) sqrt(sum over i of w_vi^2) + shrinkage)
        score(u, i) = sum over the n_neighbors most similar users v of sim(u, v) w_vi

    Two items are similar if the same users have them: the cosine of their columns.

    Deviations: the paper correlates ratings and predicts one; the score here orders items, and is not divided by the
    sum of similarities, which is the same for all items of a user.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> UserKNN(data).scoring().n_items == data.n_items
        True
    """

    class Config(ModelConfig):
        """Settings of UserKNN.

        Args:
            n_neighbors: number of similar users that are stored per user.
            shrinkage: damps similarities that rest on few items.
        """

        n_neighbors: PositiveInt = 100
        shrinkage: NonNegativeFloat = 10.0

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.n_neighbors": (50, 100, 200, 500), "model.shrinkage": (0.0, 10.0, 100.0)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        similar = cosines_of_rows(self.bought, self.bought, shrinkage=self.config.shrinkage, without_diagonal=True)
        self.similarities = neighbor_matrix(dataset.n_users, dataset.n_users, self.config.n_neighbors, similar)

    def scoring(self) -> UserMatrix:
        """Summed weights of what each user's neighbors bought, each times the similarity of the neighbor."""
        return UserMatrix(self.bought, self.similarities, self.config.n_neighbors, self.config.shrinkage)
