"""For each new item the known ones that it is most like, and how much each of them counts."""

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

IMAGE_WEIGHT = 0.1  # FREEDOM's; better than equal shares on held-out items of MovieLens, too
STEPS = 2**30  # cosines count to this fraction, so that rounding does not decide between items that are alike
NUMBERS = 2**32  # more than there are items


def neighbor_weights(dataset: Dataset, features: Mapping[str, Features], neighbors: int = 10) -> sparse.csr_array:
    """How much each known item counts for each new one, (n_new, n_known); a row adds up to 1.

    In each modality that the new item has, the nearest known items by cosine count by their cosine (all alike, where
    none is above 0); of equally near ones the first by number is taken. Modalities are mixed as in FREEDOM's item
    graph, those that the item has: images count a tenth, the others share the rest. A new item whose modalities no
    known item has gets a row of zeros. What a row holds depends on no other row. O(n_new * n_known * width) time, in
    blocks.

    Args:
        dataset: the known items; those with a training pair are looked at.
        features: of the new items, for every modality of the data set.
        neighbors: k, known items a modality, at least 1.

    Raises:
        ValueError: neighbors is below 1.
    """
    if neighbors < 1:
        raise ValueError(f"neighbors must be at least 1, but is {neighbors}")
    n_new = len(next(iter(features.values())).present)
    total = sparse.csr_array((n_new, dataset.n_items))
    able = comparable(dataset)
    for name, share in modality_weights(able.keys(), IMAGE_WEIGHT).items():
        total = total + share * _of_modality(features[name], dataset.features[name], able[name], neighbors)
    sums: ndarray = np.asarray(total.sum(axis=1))
    return sparse.csr_array(total.multiply(1 / np.where(sums > 0, sums, 1)[:, None]))


def comparable(dataset: Dataset) -> dict[str, Bool[ndarray, "n_items"]]:
    """By modality, the items that new ones are compared with; modalities without one are left out."""
    trained = dataset.interactions.item_counts("train") > 0
    able = {name: trained & directed(one) for name, one in dataset.features.items()}
    return {name: one for name, one in able.items() if one.any()}


def directed(one: Features) -> Bool[ndarray, "n_items"]:
    """Which items have the modality, and not as a row of zeros, which is like nothing."""
    flags: ndarray = one.present & one.values.any(axis=1)
    return flags


def _of_modality(new: Features, known: Features, able: Bool[ndarray, "n_known"], neighbors: int) -> sparse.csr_array:
    """The weights by one modality; empty rows where a new item lacks it."""
    rows, columns = np.flatnonzero(directed(new)), np.flatnonzero(able)
    count = min(neighbors, len(columns))
    step = max(1, BLOCK_ENTRIES // BLOCK_COLUMNS)
    numbers = np.empty((len(rows), count), dtype=np.int64)
    weights = np.empty((len(rows), count))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        keys = _nearest(_unit(new, block), known, columns, count)
        places = -keys % NUMBERS
        cosines = ((keys + places) // NUMBERS).double() / STEPS
        numbers[start : start + step] = columns[places.numpy()]
        weights[start : start + step] = _counted(cosines).numpy()
    entries = (weights.ravel(), (np.repeat(rows, count), numbers.ravel()))
    return sparse.csr_array(entries, shape=(len(new.present), len(able)))


def _nearest(
    block: Float[Tensor, "block width"], known: Features, columns: Int64[ndarray, "n_able"], count: int
) -> Int64[Tensor, "block count"]:
    """Keys of the nearest, from the nearest on: the cosine in steps, above the place among ``columns``.

    A key's place is as in :mod:`flatrec.evaluation.ranking`: the lower wins where cosines are equal.
    """
    best = []
    for first in range(0, len(columns), BLOCK_COLUMNS):
        some = columns[first : first + BLOCK_COLUMNS]
        steps = (block @ _unit(known, some).T * STEPS).round().long()
        keys = steps * NUMBERS - torch.arange(first, first + len(some))
        best.append(keys.topk(min(count, len(some)), dim=1).values)
    return torch.cat(best, dim=1).topk(count, dim=1).values


def _counted(cosines: Float[Tensor, "block count"]) -> Float[Tensor, "block count"]:
    counted = cosines.clamp(min=0)
    counted[counted.sum(dim=1) == 0] = 1
    return counted / counted.sum(dim=1, keepdim=True)


def _unit(features: Features, rows: Int64[ndarray, "n"]) -> Float[Tensor, "n width"]:
    """Rows of length 1, in double precision."""
    return l2_normalize_(torch.tensor(features.values[rows], dtype=torch.float64))
