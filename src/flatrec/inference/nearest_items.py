"""The known items that each new item is most similar to, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.features import Features
from flatrec.graphs.knn import BLOCK_COLUMNS, BLOCK_ENTRIES, modality_weights
from flatrec.inference.known_items import KnownItems, has_features
from flatrec.ops.normalize import l2_normalize_

IMAGE_WEIGHT = 0.1  # that of FREEDOM; better than equal weights on held-out items of MovieLens, too
STEPS = 2**30  # cosines are rounded to this fraction, so that floating-point errors do not order equal items
KEY_RANGE = 2**32  # above the number of items
EXCLUDED = -STEPS - STEPS // 4  # in steps, below every cosine: that of the item itself


def neighbor_weights(
    known: KnownItems,
    features: Mapping[str, Features],
    n_neighbors: int = 10,
    *,
    itself: Int64[ndarray, "n_new"] | None = None,
) -> sparse.csr_array:
    """Return the weight of each known item for each new item, (n_new, n_known); the weights of a new item add up to 1.

    In each modality that the new item has, the nearest known items by cosine are weighted by their cosine (equally, if
    none is above 0); of equally near items the one with the lower index is taken. The modalities that the new item has
    are weighted as in FREEDOM's item graph: images count a tenth, and the others divide the rest. A new item whose
    modalities no known item has gets a row of zeros. A row depends on no other new item. O(n_new * n_known * width)
    time, in blocks.

    Args:
        known: the known items, of which those with a training interaction are considered.
        features: features of the new items, for every modality of the known ones.
        n_neighbors: number of known items per modality, at least 1.
        itself: if the new items are known ones treated as new, the index of each, which is no neighbor of itself.

    Raises:
        ValueError: n_neighbors is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}")
    n_new = len(next(iter(features.values())).present)
    itself = np.full(n_new, -1) if itself is None else itself
    total = sparse.csr_array((n_new, len(known.ids)))
    candidates = known.comparable()
    for name, weight in modality_weights(candidates.keys(), IMAGE_WEIGHT).items():
        search = _Search(known.features[name], np.flatnonzero(candidates[name]), n_neighbors)
        total = total + weight * _of_modality(features[name], search, itself)
    sums: ndarray = np.asarray(total.sum(axis=1))
    return sparse.csr_array(total.multiply(1 / np.where(sums > 0, sums, 1)[:, None]))


def mean_rows(weights: sparse.csr_array, rows: Float[Tensor, "n_known dim"]) -> Float[Tensor, "n_new dim"]:
    """Return weighted means of rows, scaled to the weighted means of their lengths, on the CPU.

    A mean of vectors that point in different directions is shorter than they are, so that without the scaling almost
    every known item would have a higher score.
    """
    table = rows.detach().cpu().double()
    means, lengths = (torch.from_numpy(weights @ values.numpy()) for values in (table, table.norm(dim=1, keepdim=True)))
    return (F.normalize(means, dim=1) * lengths).float()


@dataclass(frozen=True, eq=False)
class _Search:
    """What the nearest items of one modality are searched among.

    Args:
        features: those of all known items.
        columns: indices of the known items that are compared.
        n_neighbors: number of nearest items that count.
    """

    features: Features
    columns: Int64[ndarray, "n_candidates"]
    n_neighbors: int


def _of_modality(new: Features, search: _Search, itself: Int64[ndarray, "n_new"]) -> sparse.csr_array:
    """Return the weights by one modality; the row of a new item that lacks it is empty."""
    rows, columns = np.flatnonzero(has_features(new)), search.columns
    count = min(search.n_neighbors, len(columns))
    step = max(1, BLOCK_ENTRIES // BLOCK_COLUMNS)
    neighbors = np.empty((len(rows), count), dtype=np.int64)
    weights = np.empty((len(rows), count))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        keys = _nearest(_normalized(new, block), search, count, itself[block])
        positions = -keys % KEY_RANGE
        steps = (keys + positions) // KEY_RANGE
        neighbors[start : start + step] = columns[positions.numpy()]
        weights[start : start + step] = _weights(steps.double() / STEPS, steps != EXCLUDED).numpy()
    entries = (weights.ravel(), (np.repeat(rows, count), neighbors.ravel()))
    return sparse.csr_array(entries, shape=(len(new.present), len(search.features.present)))


def _nearest(
    block: Float[Tensor, "block width"], search: _Search, count: int, itself: Int64[ndarray, "block"]
) -> Int64[Tensor, "block count"]:
    """Return keys of the nearest candidates, nearest first: the cosine in steps, above the position in ``columns``.

    As in :mod:`flatrec.ops.topk`, the lower position wins if cosines are equal.
    """
    best = []
    for first in range(0, len(search.columns), BLOCK_COLUMNS):
        columns = search.columns[first : first + BLOCK_COLUMNS]
        steps = (block @ _normalized(search.features, columns).T * STEPS).round().long()
        if (itself >= 0).any():
            steps[torch.from_numpy(itself[:, None] == columns)] = EXCLUDED
        keys = steps * KEY_RANGE - torch.arange(first, first + len(columns))
        best.append(keys.topk(min(count, len(columns)), dim=1).values)
    return torch.cat(best, dim=1).topk(count, dim=1).values


def _weights(
    cosines: Float[Tensor, "block count"], included: Bool[Tensor, "block count"]
) -> Float[Tensor, "block count"]:
    weights = cosines.clamp(min=0)
    opposite = weights.sum(dim=1) == 0
    weights[opposite] = included[opposite].to(weights)
    sums = weights.sum(dim=1, keepdim=True)
    return weights / torch.where(sums > 0, sums, 1)


def _normalized(features: Features, rows: Int64[ndarray, "n"]) -> Float[Tensor, "n width"]:
    return l2_normalize_(torch.tensor(features.values[rows], dtype=torch.float64))
