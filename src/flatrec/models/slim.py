"""SLIM: a sparse linear model of items by items, by coordinate descent."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray
from scipy import sparse

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, ModelConfig, SearchSpace
from flatrec.models.scoring import ItemMatrix
from flatrec.utils.ranges import NonNegativeFloat, PositiveFloat, PositiveInt

BLOCK_ENTRIES = 32_000_000  # weights, and residuals, of a block of items that are dense at once: 256 MB each


class SLIM(Baseline):
    """SLIM (Ning & Karypis, ICDM 2011, https://doi.org/10.1109/ICDM.2011.134).

    With X the matrix of users and items, which has the weight of each training interaction (1 without weights), and
    x_i its columns, column i of W is the one with the least

        1/2 |x_i - X w_i|^2 + l2_weight / 2 |w_i|^2 + l1_weight |w_i|_1    with w_i >= 0 and w_ii = 0
        score(u, i) = sum over j of x_uj W_ji

    Coordinate descent sets one weight after the other to its best value, with r_i = x_i - X w_i the residual:

        W_ji = max(0, <x_j, r_i> + |x_j|^2 W_ji - l1_weight) / (|x_j|^2 + l2_weight)

    in sweeps over all items j, until no weight moves by more than ``tolerance``. It is our own code in NumPy, which
    does the step of item j for a block of items i at once; scikit-learn, which is no dependency, takes a call and a
    copy of X per item, and a test compares both. As no entry of X and W is below 0, W_ji is 0 wherever
    <x_j, x_i> <= l1_weight, and is not looked at. Memory is that of a block of items, whatever the data.

    Deviations: the weights of the L1 and the L2 norm are those of the equation above; the paper writes beta/2 and
    lambda.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> float(SLIM(data).scoring().similarities.min()) >= 0
        True
    """

    class Config(ModelConfig):
        """Settings of SLIM.

        Args:
            l1_weight: weight of the L1 norm of W, in interactions: two items with fewer users in common than this do
                not recommend one another.
            l2_weight: weight of half the squares of W.
            n_sweeps: largest number of sweeps over all items.
            tolerance: how little the largest change of a weight in a sweep must be for the last sweep.
        """

        l1_weight: NonNegativeFloat = 1.0
        l2_weight: PositiveFloat = 10.0
        n_sweeps: PositiveInt = 50
        tolerance: PositiveFloat = 1e-4

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.l1_weight": (0.1, 0.5, 1.0, 3.0), "model.l2_weight": (1.0, 10.0, 50.0, 200.0)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.bought = dataset.interactions.weight_matrix("train")
        by_user = self.bought.astype(np.float64)
        n_items, width = dataset.n_items, max(1, BLOCK_ENTRIES // max(by_user.shape))
        starts = range(0, n_items, width)
        columns = [self._weights(by_user, slice(start, min(start + width, n_items))) for start in starts]
        self.similarities = sparse.csr_array(sparse.hstack(columns)).astype(np.float32)

    def scoring(self) -> ItemMatrix:
        """Summed weights of what each user bought, each times the weight of the interaction."""
        return ItemMatrix(self.bought, self.similarities)

    def _weights(self, by_user: sparse.csr_array, block: slice) -> sparse.csr_array:
        """Return the columns of W of a block of items."""
        by_item = sparse.csr_array(by_user.T)
        pairs = _candidates(by_item, block, self.config.l1_weight)
        residuals = by_user[:, block].toarray()
        weights = np.zeros((len(pairs.indptr) - 1, residuals.shape[1]))
        for _ in range(self.config.n_sweeps):
            moved = 0.0
            for item in np.flatnonzero(np.diff(pairs.indptr)).tolist():
                columns = pairs.indices[pairs.indptr[item] : pairs.indptr[item + 1]]
                entries = slice(by_item.indptr[item], by_item.indptr[item + 1])
                users, values = by_item.indices[entries], by_item.data[entries]
                moved = max(moved, self._step(weights[item], columns, residuals, users=users, values=values))
            if moved <= self.config.tolerance:
                break
        return sparse.csr_array(weights)

    def _step(
        self,
        weights: Float64[ndarray, "block"],
        columns: Int32[ndarray, "n_columns"],
        residuals: Float64[ndarray, "n_users block"],
        *,
        users: Int32[ndarray, "n_entries"],
        values: Float64[ndarray, "n_entries"],
    ) -> float:
        """Set the weights of one item for all columns where it may have one; return the largest change."""
        square, before = float(values @ values), weights[columns]
        left = values @ residuals[users[:, None], columns] + square * before
        after = np.maximum(left - self.config.l1_weight, 0) / (square + self.config.l2_weight)
        changes = after - before
        changed = np.flatnonzero(changes)
        weights[columns] = after
        residuals[users[:, None], columns[changed]] -= values[:, None] * changes[changed]
        return float(np.abs(changes).max())


def _candidates(by_item: sparse.csr_array, block: slice, l1_weight: float) -> sparse.csr_array:
    """Return the products of all items with those of a block that are large enough for a weight, in its columns."""
    pairs = (by_item @ by_item[block].T).tocoo()
    rows, columns = pairs.coords
    kept = (pairs.data > l1_weight) & (rows != columns + block.start)
    return sparse.csr_array((pairs.data[kept], (rows[kept], columns[kept])), shape=pairs.shape)
