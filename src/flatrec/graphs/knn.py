"""Item-item graphs of nearest neighbors in feature space."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.graphs.cache import cached
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_
from flatrec.ops.spmm import Graph

BLOCK_ENTRIES = 4_000_000  # similarities held at once by a CPU, 16 MB
HELD = 2**27  # similarities held at once on other devices: 512 MB, as few large operations are the fast ones there
BLOCK_COLUMNS = 8192  # of them in a row: wider blocks leave the cache of the processor, at half the speed
CACHED_FROM = 50_000_000_000  # n_items^2 * width from which a graph is kept on disk: about a second's work


def fused_knn_graph(
    features: Mapping[str, Float32[ndarray, "n_items _"]], n_neighbors: int, image_weight: float
) -> Graph:
    """Return the sum of the k-nearest-neighbor graphs of all modalities, each times its weight.

    An edge that several modalities have gets the sum of their entries. The result is not normalized again.

    Args:
        features: one row per item, finite; at least one modality.
        n_neighbors: k, the number of neighbors in each row of each modality's graph, in [1, n_items].
        image_weight: weight of the modality called ``image``, in [0, 1].

    Raises:
        ValueError: there is no modality, or k is out of range.
    """
    if not features:
        raise ValueError("a graph of neighbors needs the features of at least one modality, but got none; add some")
    n_items = len(next(iter(features.values())))
    fused = sparse.csr_array((n_items, n_items))
    for name, weight in modality_weights(features, image_weight).items():
        fused = fused + weight * knn_matrix(features[name], n_neighbors)
    return Graph(cast(sparse.csr_array, fused), symmetric=False)


def modality_weights(modalities: Collection[str], image_weight: float) -> dict[str, float]:
    """Return the weight of each modality; the weights add up to 1.

    The modality called ``image`` gets ``image_weight``, and the others divide the rest evenly. Without such a
    modality, or with it alone, all weights are equal.
    """
    if "image" not in modalities or len(modalities) == 1:
        return dict.fromkeys(modalities, 1 / len(modalities))
    rest = (1 - image_weight) / (len(modalities) - 1)
    return {name: image_weight if name == "image" else rest for name in modalities}


def knn_matrix(features: Float32[ndarray, "n_items width"], n_neighbors: int) -> sparse.csr_array:
    """Return the directed graph from each item to its k nearest items by cosine, the item itself among them.

    Every stored entry is 1 / (k + 1e-7): the binary graph divided by the square roots of both row degrees, as in
    FREEDOM. An item whose features are all zero has no direction, and its only neighbor is itself.

    Args:
        features: one row per item, finite.
        n_neighbors: k, the number of neighbors of an item, in [1, n_items].

    Raises:
        ValueError: k is out of range.
    """
    n_items, width = features.shape
    build = partial(_build_knn_matrix, features, n_neighbors)
    if n_items**2 * width < CACHED_FROM:
        return build()
    return cached("neighbors-1", [features, n_neighbors], build)


def knn(features: Float32[ndarray, "n_items width"], n_neighbors: int) -> Int64[ndarray, "n_items n_neighbors"]:
    """Return the indices of the k nearest items of each item by cosine: itself first, then from the nearest on.

    Which of several equally near items are returned is open, but the item itself always is, however many rows equal
    its own. A row of zeros is equally far from every item, so that all but its first index mean nothing. No row, be it
    zero, constant or repeated, gives NaN. O(n_items^2 * width) time, computed in blocks: O(n_items * width) memory.

    Args:
        features: one row per item, finite.
        n_neighbors: k, the number of neighbors of an item, in [1, n_items].

    Raises:
        ValueError: k is out of range.
    """
    check_n_neighbors(n_neighbors, len(features))
    return nearest_rows(l2_normalize_(torch.tensor(features)), n_neighbors).numpy()


def nearest_rows(rows: Float[Tensor, "n_items width"], n_neighbors: int) -> Int64[Tensor, "n_items n_neighbors"]:
    """Return what :func:`knn` returns, for rows of length 1 or 0, on their device and without waiting for it.

    Raises:
        ValueError: k is out of range.
    """
    n_items = len(rows)
    check_n_neighbors(n_neighbors, n_items)
    on_cpu = rows.device.type == "cpu"
    width = min(n_items, BLOCK_COLUMNS) if on_cpu else n_items
    step = max(1, (BLOCK_ENTRIES if on_cpu else HELD) // width)
    blocks = (slice(start, start + step) for start in range(0, n_items, step))
    return torch.cat([_nearest_of_block(rows, block, width, n_neighbors) for block in blocks])


def _build_knn_matrix(features: Float32[ndarray, "n_items width"], n_neighbors: int) -> sparse.csr_array:
    nearest = knn(features, n_neighbors)
    n_items = len(features)
    rows = np.repeat(np.arange(n_items), n_neighbors)
    nonzero: ndarray = np.any(features, axis=1)
    stored = nonzero[rows] | (nearest.ravel() == rows)
    values = np.full(len(rows), 1 / (n_neighbors + 1e-7), dtype=np.float32)
    entries = (values[stored], (rows[stored], nearest.ravel()[stored]))
    return sparse.csr_array(entries, shape=(n_items, n_items))


def _nearest_of_block(rows: Float[Tensor, "n_items width"], block: slice, width: int, n_neighbors: int) -> Tensor:
    """Return the neighbors of a block of rows: the best of each block of columns, and the best of these."""
    values, indices = [], []
    for first in range(0, len(rows), width):
        cosines = linear(rows[block], rows[first : first + width])
        # Above every cosine, so that equal rows cannot push an item out of its own list.
        cosines.diagonal(block.start - first).fill_(2)
        best = cosines.topk(min(n_neighbors, cosines.shape[1]), dim=1)
        values.append(best.values)
        indices.append(best.indices + first)
    order = torch.cat(values, dim=1).topk(n_neighbors, dim=1).indices
    return torch.cat(indices, dim=1).gather(1, order)


def check_n_neighbors(n_neighbors: int, n_items: int) -> None:
    """Make sure that there are as many items as an item has neighbors, itself included.

    Raises:
        ValueError: there are fewer.
    """
    if not 1 <= n_neighbors <= n_items:
        raise ValueError(f"n_neighbors must lie in [1, {n_items}], the number of items, but is {n_neighbors}")
