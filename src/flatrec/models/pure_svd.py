"""PureSVD: the singular vectors of the matrix of interactions."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, SearchSpace
from flatrec.models.scoring import Vectors
from flatrec.models.settings import EmbeddingConfig
from flatrec.ops.singular_vectors import right_singular_vectors


class PureSVD(Baseline):
    """PureSVD (Cremonesi et al., RecSys 2010, https://doi.org/10.1145/1864708.1864721).

    With X the matrix of users and items, which has the weight of each training interaction (1 without weights, and 0
    without an interaction), and V its right singular vectors with the ``embedding_dim`` largest singular values:

        score(u, i) = <x_u V, v_i>

    The vector of a user is the sum of the vectors of the user's items.

    Deviations: none.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> PureSVD(block_dataset(), PureSVD.Config(embedding_dim=4)).scoring().items.shape
        torch.Size([24, 4])
    """

    class Config(EmbeddingConfig):
        """Settings of PureSVD.

        Args:
            embedding_dim: number of singular vectors, and so the width of the vectors of users and items; the
                columns beyond the rank of the matrix are 0.
        """

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType({"model.embedding_dim": (16, 32, 64, 128, 256)})

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        bought = dataset.interactions.weight_matrix("train").astype(np.float64)
        items = right_singular_vectors(bought, self.config.embedding_dim)[1].T
        self.vectors = Vectors(torch.from_numpy(bought @ items).float(), torch.from_numpy(items).float().contiguous())

    def scoring(self) -> Vectors:
        """Inner products of what each user bought and each item, both within the singular vectors."""
        return self.vectors
