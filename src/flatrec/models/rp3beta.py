"""RP3beta: random walks from a user's items over other users, popular items held back."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig, SearchSpace
from flatrec.models.neighbors import neighbor_matrix
from flatrec.models.scoring import ItemMatrix
from flatrec.utils.ranges import NonNegativeFloat, PositiveFloat, PositiveInt


class RP3beta(Baseline):
    """RP3beta (Christoffel et al., RecSys 2015, https://doi.org/10.1145/2792838.2800180).

    A walk of three steps goes from a user to one of the user's items, to a user of that item, and to an item of that
    user. With w_ui the weight of an interaction, 1 without weights, d_u and d_i the sums of the weights of a user and
    of an item:

        sim(j, i) = (sum over v of (w_vj / d_j)^alpha (w_vi / d_v)^alpha) / d_i^beta    for j not i
        score(u, i) = sum over j of w_uj sim(j, i)

    With alpha = 1 and beta = 0 the score is d_u times the probability that the walk of a user ends at an item that it
    did not pass first; alpha is the exponent of P3alpha (Cooper et al., WWW 2014,
    https://doi.org/10.1145/2567948.2579244).

    Deviations: the probability of the first step is w_uj in place of (w_uj / d_u)^alpha, so that a history of any user
    is scored like those of training; without weights the factor is the same for all items of a user. A row keeps its
    ``n_neighbors`` largest entries, as by Ferrari Dacrema et al. (RecSys 2019, https://arxiv.org/abs/1907.06902); the
    paper keeps all, or samples walks.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> RP3beta(data).scoring().scores(torch.tensor([0, 1])).shape == (2, data.n_items)
        True
    """

    class Config(ModelConfig):
        """Settings of RP3beta.

        Args:
            n_neighbors: number of similar items that are stored per item.
            alpha: exponent of the probabilities of steps.
            beta: exponent of an item's popularity, by which its similarities are divided.
        """

        n_neighbors: PositiveInt = 100
        alpha: PositiveFloat = 1.0
        beta: NonNegativeFloat = 0.3

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.n_neighbors": (50, 100, 200), "model.alpha": (0.4, 0.7, 1.0, 1.3), "model.beta": (0.0, 0.2, 0.4, 0.6)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        weights = self.bought.astype(np.float64)
        of_user, of_item = (np.asarray(weights.sum(axis=axis)) for axis in (1, 0))
        to_items = _steps(weights, of_user, self.config.alpha)
        to_users = _steps(sparse.csr_array(weights.T), of_item, self.config.alpha)
        popularity = np.where(of_item > 0, of_item, 1) ** -self.config.beta

        def similar(rows: slice) -> Float[Tensor, "block n_items"]:
            walks = (to_users[rows] @ to_items).toarray() * popularity
            block = torch.from_numpy(walks.astype(np.float32))
            block.diagonal(rows.start).zero_()
            return block

        self.similarities = neighbor_matrix(dataset.n_items, dataset.n_items, self.config.n_neighbors, similar)

    def scoring(self) -> ItemMatrix:
        """Summed similarities to what each user bought, each times its weight."""
        return ItemMatrix(self.bought, self.similarities)


def _steps(weights: sparse.csr_array, sums: Float64[ndarray, "n_rows"], alpha: float) -> sparse.csr_array:
    """Return the probabilities of the steps from each row to the power of alpha, by the sums of the rows."""
    values = (weights.data / np.repeat(sums, np.diff(weights.indptr))) ** alpha
    return sparse.csr_array((values, weights.indices, weights.indptr), shape=weights.shape)
