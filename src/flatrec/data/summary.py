"""The figures of a data set that tell whether it is what one thinks it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.cleaning import CleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import SPLITS, Split


@dataclass(frozen=True)
class SplitSummary:
    """One part of the split: its interactions, and the users who have none in it."""

    interactions: int
    users_without: int


@dataclass(frozen=True)
class FeatureSummary:
    """One modality: columns, items that lack it, and rows (of the items that have it) that say nothing.

    A constant row has one value in all its columns; rows of zeros are counted as zero, not as constant.
    """

    width: int
    missing: int
    zero_rows: int
    constant_rows: int


@dataclass(frozen=True)
class Summary:
    """What ``flatrec data info`` tells."""

    name: str
    fingerprint: str
    users: int
    items: int
    interactions: int
    density: float  # interactions / (users * items)
    splits: Mapping[Split, SplitSummary]
    users_without_training: int
    items_without_training: int
    titles: bool
    images: int | None  # items with one; None where the source has none
    features: Mapping[str, FeatureSummary]
    cleaning_report: CleaningReport
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain nested values that ``json.dumps`` takes."""
        return asdict(self)


def summarize(dataset: Dataset) -> Summary:
    """The figures of a data set. O(interactions + features)."""
    interactions = dataset.interactions
    train_users, train_items = interactions.indices("train")
    images = dataset.images
    return Summary(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=len(interactions),
        density=len(interactions) / max(dataset.n_users * dataset.n_items, 1),
        splits={
            part: SplitSummary(interactions.count(part), _without(interactions.indices(part)[0], dataset.n_users))
            for part in SPLITS
        },
        users_without_training=_without(train_users, dataset.n_users),
        items_without_training=_without(train_items, dataset.n_items),
        titles=dataset.titles is not None,
        images=None if images is None else sum(image is not None for image in images),
        features={name: _of_features(features) for name, features in dataset.features.items()},
        cleaning_report=dataset.cleaning_report,
        warnings=dataset.warnings,
    )


def _without(numbers: Int[ndarray, "n"], size: int) -> int:
    return int((np.bincount(numbers, minlength=size) == 0).sum())


def _of_features(features: Features) -> FeatureSummary:
    rows = features.values[features.present]
    zero = (rows == 0).all(axis=1)
    constant = (rows == rows[:, :1]).all(axis=1) & ~zero
    return FeatureSummary(
        width=features.width,
        missing=int((~features.present).sum()),
        zero_rows=int(zero.sum()),
        constant_rows=int(constant.sum()),
    )
