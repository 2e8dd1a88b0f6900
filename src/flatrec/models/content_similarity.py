"""How a baseline compares items by their features, so that items that come later can be compared as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.features import Features, MissingPolicy
from flatrec.graphs.knn import modality_weights
from flatrec.models.neighbors import BLOCK_ENTRIES, neighbor_matrix
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize_


@dataclass(frozen=True)
class ContentSimilarity:
    """The similarity of two items that no user has in common, as content-knn and hybrid-knn make it.

    Args:
        n_neighbors: number of similarities that are stored per item.
        weight: factor of the similarity by features.
        image_weight: weight of the modality called ``image``.
        missing_modality: what an item without a modality gets: the mean of the known items that have it, or zeros.
    """

    n_neighbors: int
    weight: float
    image_weight: float
    missing_modality: MissingPolicy

    def joined(
        self,
        similarities: sparse.csr_array,
        known: Mapping[str, Features],
        new: Mapping[str, Features],
        fitted: Bool[ndarray, "n_known"],
    ) -> sparse.csr_array:
        """Return the similarities of known items and new ones behind them.

        A known item stores its similarity to a new one if that is above the least of those that it stores, as it would
        if it had been made with this new item alone. It keeps the others. New items are not similar to each other.

        Args:
            similarities: those of the known items, (n_known, n_known).
            known: features of the known items.
            new: features of the new items, of the same modalities.
            fitted: which known items the baseline was made with; others joined later.
        """
        old, added = self._rows(known, known, fitted), self._rows(new, known, fitted)
        rows = neighbor_matrix(len(added), len(old), self.n_neighbors, lambda block: self._similar(added[block], old))
        columns = self._columns(self._least(similarities), old, added)
        nothing = sparse.csr_array((len(added), len(added)), dtype=similarities.dtype)
        halves = (sparse.hstack([similarities, columns]), sparse.hstack([rows, nothing]))
        return sparse.csr_array(sparse.vstack(halves))

    def _similar(self, rows: Float[Tensor, "n width"], others: Float[Tensor, "m width"]) -> Float[Tensor, "n m"]:
        return linear(rows, others).clamp(min=0).mul_(self.weight)

    def _columns(
        self, least: Float32[ndarray, "n_known"], old: Float[Tensor, "n_known width"], added: Float[Tensor, "n width"]
    ) -> sparse.csr_array:
        """Return the similarities of known items to new ones, computed in blocks of at most 32 MB."""
        step = max(1, BLOCK_ENTRIES // len(added))
        blocks = []
        for start in range(0, len(old), step):
            similar = self._similar(old[start : start + step], added).numpy()
            blocks.append(sparse.csr_array(np.where(similar > least[start : start + step, None], similar, 0)))
        return sparse.csr_array(sparse.vstack(blocks))

    def _least(self, similarities: sparse.csr_array) -> Float32[ndarray, "n_known"]:
        """Return the least similarity that each item stores; 0 for an item that stores fewer than it may."""
        least = np.zeros(similarities.shape[0], dtype=np.float32)
        full = np.flatnonzero(np.diff(similarities.indptr) >= self.n_neighbors)
        for row in full.tolist():
            least[row] = similarities.data[similarities.indptr[row] : similarities.indptr[row + 1]].min()
        return least

    def _rows(
        self, items: Mapping[str, Features], known: Mapping[str, Features], fitted: Bool[ndarray, "n_known"]
    ) -> Float[Tensor, "n width"]:
        """Return rows whose inner products are the similarities of items; the modalities stand side by side."""
        weights, rows = modality_weights(known, self.image_weight), np.flatnonzero(fitted)
        parts = []
        for name in sorted(known):
            one, reference = items[name], known[name].take(rows)
            values = one.values
            if self.missing_modality == "mean" and reference.present.any():
                mean = reference.values[reference.present].mean(axis=0, dtype=np.float64).astype(np.float32)
                values = np.where(one.present[:, None], values, mean)
            parts.append(unit_rows(values, weights[name]))
        return torch.cat(parts, 1)


def unit_rows(values: Float32[ndarray, "n width"], weight: float) -> Float[Tensor, "n width"]:
    """Return rows of length 1, times the square root of the weight; rows of zeros stay zero."""
    return l2_normalize_(torch.tensor(values)) * float(weight**0.5)
