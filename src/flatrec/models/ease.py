"""EASE: a linear model of items by items, in closed form."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray
from scipy import sparse
from scipy.linalg import lapack

from flatrec.data.dataset import Dataset
from flatrec.models.base import Baseline, SearchSpace
from flatrec.models.memory import MemoryConfig, check_memory
from flatrec.models.scoring import ItemMatrix
from flatrec.utils.ranges import PositiveFloat

BLOCK_ROWS = 1024  # item rows that are sparse products, or are mirrored, at once


class EASE(Baseline):
    """EASE^R, an autoencoder without hidden layers (Steck, WWW 2019, https://arxiv.org/abs/1905.03375).

    With X the matrix of users and items, which has the weight of each training interaction (1 without weights), B is
    the matrix with the least

        |X - X B|^2 + reg_weight |B|^2    with diag(B) = 0

    in closed form, equation 8 of the paper:

        P = (X^T X + reg_weight I)^-1
        B_ji = -P_ji / P_ii    for j not i
        score(u, i) = sum over j of x_uj B_ji

    The weights may be negative: having an item can speak against another. X^T X is inverted in place by Cholesky
    decomposition in float64, and B is float32. It needs 12 bytes for every two items, and n_items^3 operations: 0.6 GB
    for 7,000 items.

    Deviations: none.

    Args:
        dataset: gives the training interactions.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> data = block_dataset()
        >>> EASE(data).scoring().similarities.shape == (data.n_items, data.n_items)
        True

    Raises:
        ValueError: the matrix needs more memory than ``max_memory``, or cannot be inverted as ``reg_weight`` is too
            small beside the weights of the interactions.
    """

    class Config(MemoryConfig):
        """Settings of EASE.

        Args:
            reg_weight: weight of the squares of B, in interactions: an item with few interactions counts little beside
                it.
        """

        reg_weight: PositiveFloat = 200.0

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType({"model.reg_weight": (10.0, 50.0, 200.0, 500.0, 1000.0)})

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        n_items = dataset.n_items
        check_memory("EASE", 12.0 * n_items**2, self.config.max_memory, f"a matrix of {n_items} by {n_items} items")
        self.bought = dataset.interactions.weight_matrix("train")
        self.similarities = _weights(_inverse(gram_matrix(self.bought), self.config.reg_weight))

    def scoring(self) -> ItemMatrix:
        """Summed weights of what each user bought, each times the weight of the interaction."""
        return ItemMatrix(self.bought, self.similarities)


def gram_matrix(bought: sparse.csr_array) -> Float64[ndarray, "n_items n_items"]:
    """Return X^T X."""
    by_user = bought.astype(np.float64)
    by_item = sparse.csr_array(by_user.T)
    n_items = by_item.shape[0]
    gram = np.empty((n_items, n_items))
    for start in range(0, n_items, BLOCK_ROWS):
        gram[start : start + BLOCK_ROWS] = (by_item[start : start + BLOCK_ROWS] @ by_user).toarray()
    return gram


def _inverse(gram: Float64[ndarray, "n_items n_items"], reg_weight: float) -> Float64[ndarray, "n_items n_items"]:
    """Return the inverse of the regularized matrix in its upper triangle; ``gram`` is overwritten.

    Raises:
        ValueError: ``reg_weight`` is lost in rounding, so that the inverse would be arbitrary.
    """
    lost = reg_weight < len(gram) * np.finfo(np.float64).eps * gram.diagonal().max()
    gram.flat[:: len(gram) + 1] += reg_weight
    # What is the lower triangle in the order of Fortran is the upper one in that of C: no copy is made.
    factor, failed = lapack.dpotrf(gram.T, lower=1, clean=0, overwrite_a=1)
    if lost or failed:
        raise ValueError(
            f"the matrix of items cannot be inverted with reg_weight {reg_weight:g}, which is too small beside the "
            "weights of the interactions; raise model.reg_weight"
        )
    inverse: Float64[ndarray, "n_items n_items"] = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T
    return inverse


def _weights(inverse: Float64[ndarray, "n_items n_items"]) -> Float32[ndarray, "n_items n_items"]:
    """Return B, from the upper triangle of P alone."""
    scales = -1 / inverse.diagonal()
    weights = np.empty(inverse.shape, dtype=np.float32)
    for start in range(0, len(inverse), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(inverse)))
        square = np.triu(inverse[block, block])
        right = inverse[block, block.stop :]
        weights[block, block] = (square + np.triu(square, 1).T) * scales[block]
        weights[block, block.stop :] = right * scales[block.stop :]
        weights[block.stop :, block] = right.T * scales[block]
    np.fill_diagonal(weights, 0)
    return weights
