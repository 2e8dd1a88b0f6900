"""PureSVD: the singular vectors of the matrix of interactions."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.linalg import svds

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, SearchSpace
from flatrec.models.scoring import Vectors
from flatrec.models.settings import EmbeddingConfig

DENSE_BELOW = 500  # users or items, whichever are fewer, below which all singular vectors are computed
RANK_TOLERANCE = 1e-10  # singular values below this fraction of the largest are 0


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


def right_singular_vectors(
    matrix: sparse.csr_array, count: int
) -> tuple[Float64[ndarray, "count"], Float64[ndarray, "count n_columns"]]:
    """Return the largest singular values in decreasing order, and their right singular vectors.

    Nothing is random: the iteration starts from a fixed vector. The sign of a vector is that which makes its largest
    entry positive. Where the rank of the matrix is below ``count``, the rest is 0.

    Args:
        matrix: in float64.
        count: number of vectors, at least 1.
    """
    least = min(matrix.shape)
    if least < DENSE_BELOW or count >= least:
        _, values, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(least)
        _, values, vectors = svds(matrix, k=count, v0=start)
    largest = np.argsort(-values, kind="stable")[:count]
    largest = largest[values[largest] > RANK_TOLERANCE * values.max(initial=0)]
    chosen, peaks = vectors[largest], np.abs(vectors[largest]).argmax(axis=1)
    chosen = chosen * np.sign(chosen[np.arange(len(largest)), peaks, None])
    padding = (0, count - len(largest))
    return np.pad(values[largest], padding), np.pad(chosen, (padding, (0, 0)))
