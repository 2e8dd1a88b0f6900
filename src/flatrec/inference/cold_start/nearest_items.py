"""The known items that each new item is most similar to, and their weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.graphs.knn import BLOCK_COLUMNS, BLOCK_ENTRIES, modality_weights
from flatrec.ops.normalize import l2_normalize_

IMAGE_WEIGHT = 0.1  # that of FREEDOM; better than equal weights on held-out items of MovieLens, too
STEPS = 2**30  # cosines are rounded to this fraction, so that floating-point errors do not order equal items
KEY_RANGE = 2**32  # above the number of items


def neighbor_weights(dataset: Dataset, features: Mapping[str, Features], n_neighbors: int = 10) -> sparse.csr_array:
    """Return the weight of each known item for each new item, (n_new, n_known); the weights of a new item add up to 1.

    In each modality that the new item has, the nearest known items by cosine are weighted by their cosine (equally, if
    none is above 0); of equally near items the one with the lower index is taken. The modalities that the new item has
    are weighted as in FREEDOM's item graph: images count a tenth, and the others divide the rest. A new item whose
    modalities no known item has gets a row of zeros. A row depends on no other new item. O(n_new * n_known * width)
    time, in blocks.

    Args:
        dataset: the known items, of which those with a training interaction are considered.
        features: features of the new items, for every modality of the data set.
        n_neighbors: number of known items per modality, at least 1.

    Raises:
        ValueError: n_neighbors is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}")
    n_new = len(next(iter(features.values())).present)
    total = sparse.csr_array((n_new, dataset.n_items))
    candidates = comparable(dataset)
    for name, weight in modality_weights(candidates.keys(), IMAGE_WEIGHT).items():
        total = total + weight * _of_modality(features[name], dataset.features[name], candidates[name], n_neighbors)
    sums: ndarray = np.asarray(total.sum(axis=1))
    return sparse.csr_array(total.multiply(1 / np.where(sums > 0, sums, 1)[:, None]))


def comparable(dataset: Dataset) -> dict[str, Bool[ndarray, "n_items"]]:
    """Return, by modality, which items new ones are compared with; modalities without such an item are left out."""
    trained = dataset.interactions.item_counts("train") > 0
    flags = {name: trained & has_features(features) for name, features in dataset.features.items()}
    return {name: comparable for name, comparable in flags.items() if comparable.any()}


def has_features(features: Features) -> Bool[ndarray, "n_items"]:
    """Return which items have the modality, other than as a row of zeros, which is similar to nothing."""
    flags: ndarray = features.present & features.values.any(axis=1)
    return flags


def _of_modality(
    new: Features, known: Features, candidates: Bool[ndarray, "n_known"], n_neighbors: int
) -> sparse.csr_array:
    """Return the weights by one modality; the row of a new item that lacks it is empty."""
    rows, columns = np.flatnonzero(has_features(new)), np.flatnonzero(candidates)
    count = min(n_neighbors, len(columns))
    step = max(1, BLOCK_ENTRIES // BLOCK_COLUMNS)
    neighbors = np.empty((len(rows), count), dtype=np.int64)
    weights = np.empty((len(rows), count))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        keys = _nearest(_normalized(new, block), known, columns, count)
        positions = -keys % KEY_RANGE
        cosines = ((keys + positions) // KEY_RANGE).double() / STEPS
        neighbors[start : start + step] = columns[positions.numpy()]
        weights[start : start + step] = _weights(cosines).numpy()
    entries = (weights.ravel(), (np.repeat(rows, count), neighbors.ravel()))
    return sparse.csr_array(entries, shape=(len(new.present), len(candidates)))


def _nearest(
    block: Float[Tensor, "block width"], known: Features, columns: Int64[ndarray, "n_candidates"], count: int
) -> Int64[Tensor, "block count"]:
    """Return keys of the nearest candidates, nearest first: the cosine in steps, above the position in ``columns``.

    As in :mod:`flatrec.ops.topk`, the lower position wins if cosines are equal.
    """
    best = []
    for first in range(0, len(columns), BLOCK_COLUMNS):
        block_columns = columns[first : first + BLOCK_COLUMNS]
        steps = (block @ _normalized(known, block_columns).T * STEPS).round().long()
        keys = steps * KEY_RANGE - torch.arange(first, first + len(block_columns))
        best.append(keys.topk(min(count, len(block_columns)), dim=1).values)
    return torch.cat(best, dim=1).topk(count, dim=1).values


def _weights(cosines: Float[Tensor, "block count"]) -> Float[Tensor, "block count"]:
    weights = cosines.clamp(min=0)
    weights[weights.sum(dim=1) == 0] = 1
    return weights / weights.sum(dim=1, keepdim=True)


def _normalized(features: Features, rows: Int64[ndarray, "n"]) -> Float[Tensor, "n width"]:
    return l2_normalize_(torch.tensor(features.values[rows], dtype=torch.float64))
