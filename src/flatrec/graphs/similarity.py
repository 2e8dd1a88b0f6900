"""Item-item graphs of nearest neighbours in feature space."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch.nn import functional as F

BLOCK_ENTRIES = 4_000_000  # similarities held at once, 16 MB


def neighbour_matrix(features: Float32[ndarray, "n_items width"], neighbours: int) -> sparse.csr_array:
    """The directed graph that links each item to its most similar ones by cosine, itself among them.

    Every stored entry is 1 / (k + 1e-7): the binary graph divided by the square roots of both row degrees, as
    FREEDOM has it. A row of zeros has no direction and links to itself alone.

    Args:
        features: one row an item, finite.
        neighbours: k, how many items a row keeps, in [1, n_items].

    Raises:
        ValueError: k is out of range.
    """
    n_items = len(features)
    if not 1 <= neighbours <= n_items:
        raise ValueError(f"neighbours must lie in [1, {n_items}], the number of items, but is {neighbours}")
    nearest = _nearest(features, neighbours)
    rows = np.repeat(np.arange(n_items), neighbours)
    directed: ndarray = np.any(features, axis=1)
    kept = directed[rows] | (nearest.ravel() == rows)
    values = np.full(len(rows), 1 / (neighbours + 1e-7), dtype=np.float32)
    entries = (values[kept], (rows[kept], nearest.ravel()[kept]))
    return sparse.csr_array(entries, shape=(n_items, n_items))


def _nearest(features: Float32[ndarray, "n_items width"], neighbours: int) -> Int64[ndarray, "n_items neighbours"]:
    """Numbers of the most similar items, the item itself first; computed in blocks of rows, O(n_items) memory."""
    rows = torch.tensor(features)
    largest = rows.abs().amax(dim=1, keepdim=True)  # rows first come near 1, so that no square overflows or vanishes
    directions = F.normalize(rows / torch.where(largest > 0, largest, 1), dim=1, eps=1e-12)
    step = max(1, BLOCK_ENTRIES // len(features))
    nearest = np.empty((len(features), neighbours), dtype=np.int64)
    for start in range(0, len(features), step):
        block = directions[start : start + step] @ directions.T
        block.diagonal(start).fill_(2)  # above every cosine, so that equal rows cannot push an item out of its own list
        nearest[start : start + step] = block.topk(neighbours, dim=1).indices.numpy()
    return nearest
