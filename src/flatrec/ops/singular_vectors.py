"""Singular vectors of sparse matrices, without randomness."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.linalg import svds

DENSE_BELOW = 500  # rows or columns, whichever are fewer, below which all singular vectors are computed
RANK_TOLERANCE = 1e-10  # singular values below this fraction of the largest are 0


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
