"""ALS: matrix factorization by alternating least squares, every missing interaction a weak zero."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, SearchSpace
from flatrec.models.scoring import Vectors
from flatrec.models.settings import EmbeddingConfig
from flatrec.ops.singular_vectors import right_singular_vectors
from flatrec.utils.ranges import PositiveFloat, PositiveInt

BLOCK_NUMBERS = 4_000_000  # float64 numbers held at once for a block of rows: 32 MB, and as much again for products


class ALS(Baseline):
    """Implicit ALS (Hu et al., ICDM 2008, https://doi.org/10.1109/ICDM.2008.22).

    With p_ui 1 for a training interaction and 0 otherwise, and w_ui its weight (1 without weights, 0 without an
    interaction), the vectors x_u of users and y_i of items have a small

        sum over all u and i of (1 + alpha w_ui) (p_ui - <x_u, y_i>)^2
            + reg_weight (sum over u of |x_u|^2 + sum over i of |y_i|^2)

    In turn, the vectors of users and those of items take the values at which it is least while the others stay:

        x_u = (Y^T Y + alpha (sum over i of w_ui y_i y_i^T) + reg_weight I)^-1 (sum over i of (1 + alpha w_ui) y_i)

    where the second sum is over the user's items. It is computed in float64 in batches of rows of similar length, by
    Cholesky decomposition: O(n_interactions dim^2 + (n_users + n_items) dim^3) operations per iteration. This is our
    own code in torch, as the package ``implicit`` would bring a compiled dependency for what takes a page, and its
    default solver stops after three steps of conjugate gradients; with its exact solver it gives the same vectors,
    which a test compares.

    Deviations: the first vectors of items are the singular vectors of ``pure-svd`` times the roots of their singular
    values, not random ones, so that a baseline has one result; the users come last, so that their vectors fit those
    of the items.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> ALS(block_dataset(), ALS.Config(embedding_dim=4)).scoring().users.shape
        torch.Size([30, 4])
    """

    class Config(EmbeddingConfig):
        """Settings of ALS.

        Args:
            alpha: how much more an interaction of weight 1 counts than a missing one, which counts 1.
            reg_weight: weight of the squared lengths of all vectors.
            n_iterations: number of times that users and items are computed.
        """

        alpha: PositiveFloat = 10.0
        reg_weight: PositiveFloat = 10.0
        n_iterations: PositiveInt = 15

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {
            "model.embedding_dim": (16, 32, 64, 128),
            "model.alpha": (1.0, 5.0, 20.0),
            "model.reg_weight": (1.0, 10.0, 50.0),
        }
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        by_user = dataset.interactions.weight_matrix("train").astype(np.float64)
        by_item = sparse.csr_array(by_user.T)
        values, vectors = right_singular_vectors(by_user, self.config.embedding_dim)
        items = torch.from_numpy(np.ascontiguousarray((vectors * np.sqrt(values)[:, None]).T))
        for _ in range(self.config.n_iterations):
            items = self._least_squares(by_item, self._least_squares(by_user, items))
        users = self._least_squares(by_user, items)
        self.vectors = Vectors(users.float(), items.float())

    def scoring(self) -> Vectors:
        """Inner products of the vectors."""
        return self.vectors

    def _least_squares(
        self, weights: sparse.csr_array, fixed: Float64[Tensor, "n_columns dim"]
    ) -> Float64[Tensor, "n_rows dim"]:
        """Return the vectors of the rows at which the loss is least, those of the columns being fixed."""
        dim, alpha = fixed.shape[1], self.config.alpha
        common = fixed.T @ fixed + self.config.reg_weight * torch.eye(dim, dtype=torch.float64)
        solved = torch.zeros(weights.shape[0], dim, dtype=torch.float64)
        for rows in _blocks_of_similar_length(np.diff(weights.indptr), dim):
            columns, extra = _padded(weights, rows)
            vectors = fixed[columns]
            systems = torch.baddbmm(common, (vectors * (alpha * extra)[:, :, None]).mT, vectors)
            right = ((extra > 0) + alpha * extra)[:, None] @ vectors
            solved[torch.from_numpy(rows)] = torch.cholesky_solve(right.mT, torch.linalg.cholesky(systems))[:, :, 0]
        return solved


def _blocks_of_similar_length(lengths: Int[ndarray, "n_rows"], dim: int) -> Iterator[Int64[ndarray, "block"]]:
    """Yield the rows that have entries, the longest first, as many at once as their vectors and systems fit."""
    order = np.argsort(-lengths, kind="stable")[: int((lengths > 0).sum())]
    start = 0
    while start < len(order):
        step = max(1, BLOCK_NUMBERS // (dim * max(dim, int(lengths[order[start]]))))
        yield order[start : start + step]
        start += step


def _padded(
    weights: sparse.csr_array, rows: Int64[ndarray, "block"]
) -> tuple[Int64[Tensor, "block longest"], Float64[Tensor, "block longest"]]:
    """Return the columns and the weights of the entries of each row, filled up with column 0 at weight 0."""
    starts, lengths = weights.indptr[rows], np.diff(weights.indptr)[rows]
    offsets = np.arange(lengths.max())
    filled = offsets < lengths[:, None]
    places = np.where(filled, starts[:, None] + offsets, 0)
    columns = np.where(filled, weights.indices[places], 0).astype(np.int64)
    return torch.from_numpy(columns), torch.from_numpy(np.where(filled, weights.data[places], 0))
