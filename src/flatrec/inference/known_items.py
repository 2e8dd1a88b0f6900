"""The items that a recommender was trained on, as new items are compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class KnownItems:
    """Items with their features, and which of them were trained.

    Args:
        ids: original ids.
        features: one row per item, by modality.
        trained: True for an item that had a training interaction; only these have embeddings worth drawing on.
        source: name of the data in messages.
    """

    ids: Vocabulary
    features: Mapping[str, Features]
    trained: Bool[ndarray, "n_items"]
    source: str

    @classmethod
    def of(cls, dataset: Dataset) -> KnownItems:
        """Return the items of a data set."""
        trained = dataset.interactions.item_counts("train") > 0
        return cls(dataset.items, dataset.features, trained, f"data set {dataset.name!r}")

    def comparable(self) -> dict[str, Bool[ndarray, "n_items"]]:
        """Return, by modality, the items that new ones are compared with; modalities without any are left out."""
        flags = {name: self.trained & has_features(features) for name, features in self.features.items()}
        return {name: comparable for name, comparable in flags.items() if comparable.any()}

    def comparable_items(self) -> Int64[ndarray, "n_comparable"]:
        """Return the indices of the items that new ones are compared with by at least one modality."""
        flags = np.zeros(len(self.ids), dtype=np.bool_)
        for comparable in self.comparable().values():
            flags |= comparable
        return np.flatnonzero(flags).astype(np.int64)


def has_features(features: Features) -> Bool[ndarray, "n_items"]:
    """Return which items have the modality, other than as a row of zeros, which is similar to nothing."""
    flags: ndarray = features.present & features.values.any(axis=1)
    return flags
