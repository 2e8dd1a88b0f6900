"""Item graphs whose edges every modality, or enough users, agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.graphs.cache import cached
from flatrec.graphs.cooccurrence import item_cooccurrence_matrix
from flatrec.graphs.interaction import DEGREE_OFFSET
from flatrec.graphs.knn import CACHED_FROM, check_n_neighbors
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_
from flatrec.ops.spmm import Graph

BLOCK_ENTRIES = 4_000_000  # similarities of one modality held at once, 16 MB
SLACK = 1e-6  # rounding of a cosine in float32, lest equal rows fall short of their own mean


def agreed_neighbors(
    features: Mapping[str, Float32[ndarray, "n_items _"]], n_neighbors: int
) -> dict[str, sparse.csr_array]:
    """Return for each modality the nearest items that are similar in every modality, as a binary directed matrix.

    Two items are similar in a modality if their cosine is at least the mean cosine over all n_items^2 pairs, each item
    with itself among them. Of the items that are similar in every modality, row i has the ``n_neighbors`` nearest by
    the cosine of its own modality, item i itself always one of them; fewer if fewer are similar. A row of zeros has the
    cosine 0 with every item, and as its own modality's only neighbor itself. Which of several equally near items are
    kept is open. O(n_items^2 * sum of widths) time, in blocks of rows: O(n_items * sum of widths) memory.

    Args:
        features: one row per item, finite; at least one modality.
        n_neighbors: largest number of entries in a row, in [1, n_items].

    Raises:
        ValueError: n_neighbors is out of range.
    """
    names = sorted(features)
    matrices = [features[name] for name in names]
    n_items, n_columns = len(matrices[0]), sum(one.shape[1] for one in matrices)
    check_n_neighbors(n_neighbors, n_items)
    build = partial(_stacked, matrices, n_neighbors)
    if n_items**2 * n_columns < CACHED_FROM:
        stacked = build()
    else:
        stacked = cached("agreed-neighbors-1", [*matrices, n_neighbors], build)
    starts = range(0, len(names) * n_items, n_items)
    return {name: sparse.csr_array(stacked[start : start + n_items]) for name, start in zip(names, starts, strict=True)}


def session_neighbors(dataset: Dataset, n_neighbors: int, min_common_users: int) -> sparse.csr_array:
    """Return for each item those that most users bought with it, as a binary directed matrix; each item itself, too.

    Args:
        dataset: gives the training interactions, and the ids of the items.
        n_neighbors: largest number of other items in a row; of equally frequent ones the lower id stays.
        min_common_users: what the number of users who have both items must reach.
    """
    counts = item_cooccurrence_matrix(dataset.interactions, n_neighbors, np.argsort(list(dataset.items), kind="stable"))
    return with_self_loops(counts >= min_common_users)


def with_self_loops(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return a binary square matrix with every entry of the diagonal."""
    looped = sparse.csr_array(matrix.astype(np.float32) + sparse.eye_array(matrix.shape[0], dtype=np.float32))
    looped.data[:] = 1
    return looped


def row_degree_graph(matrix: sparse.csr_array) -> Graph:
    """Return a binary matrix with the entries (d_i + 1e-7)^(-1/2) (d_j + 1e-7)^(-1/2), d the number in each row."""
    degrees = np.diff(matrix.indptr) + DEGREE_OFFSET
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    values = ((degrees[rows] * degrees[matrix.indices]) ** -0.5).astype(np.float32)
    return Graph(sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape), symmetric=False)


def _stacked(matrices: Sequence[Float32[ndarray, "n_items _"]], kept: int) -> sparse.csr_array:
    """Return the neighbors of every modality, one below the other."""
    units = [l2_normalize_(torch.tensor(one)) for one in matrices]
    # The mean of all inner products is the squared length of the mean row.
    means = [float(unit.double().mean(dim=0).square().sum()) for unit in units]
    n_items = len(units[0])
    step = max(1, BLOCK_ENTRIES // n_items)
    parts: list[list[Tensor]] = [[] for _ in units]
    for start in range(0, n_items, step):
        for part, block in zip(parts, _block(units, means, start, step, kept), strict=True):
            part.append(block)
    edges = [np.concatenate([edge.numpy() for edge in part], axis=1) for part in parts]
    rows = np.concatenate([ends[0] + number * n_items for number, ends in enumerate(edges)])
    columns = np.concatenate([ends[1] for ends in edges])
    values = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_array((values, (rows, columns)), shape=(len(units) * n_items, n_items))


def _block(  # noqa: PLR0917 - one block of all modalities
    units: Sequence[Float[Tensor, "n_items _"]], means: Sequence[float], start: int, step: int, kept: int
) -> list[Int64[Tensor, "two n_edges"]]:
    """Return the ends of the edges of some rows, for each modality."""
    blocks = []
    for unit in units:
        block = linear(unit[start : start + step], unit)
        block.diagonal(start).fill_(2)  # above every cosine: no equal row pushes an item out of its own list
        blocks.append(block)
    similar: Bool[Tensor, "rows n_items"] = torch.stack(
        [block >= mean - SLACK for block, mean in zip(blocks, means, strict=True)]
    ).all(dim=0)
    edges = []
    for unit, block in zip(units, blocks, strict=True):
        best = block.masked_fill(~similar, -torch.inf).topk(kept, dim=1)
        rows = torch.arange(start, start + len(block))[:, None].expand_as(best.indices)
        directed = unit[start : start + step].any(dim=1)[:, None] | (best.indices == rows)
        stored = best.values.isfinite() & directed
        edges.append(torch.stack([rows[stored], best.indices[stored]]))
    return edges
