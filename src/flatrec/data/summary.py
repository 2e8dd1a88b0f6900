"""The key figures of a data set, as ``flatrec data info`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.cleaning import CleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import SPLITS, Split
from flatrec.data.row_counts import RowCounts, row_counts
from flatrec.data.tables.columns import describe_dtype
from flatrec.utils.moments import as_date_time


@dataclass(frozen=True)
class SplitSummary:
    """One split: its interactions, and the number of users without any in it."""

    interactions: int
    users_without: int


@dataclass(frozen=True)
class FeatureSummary:
    """One modality: columns, items without it, and rows of the other items that contain no information.

    A constant row has one value in all its columns; rows of zeros are counted as zero, not as constant.
    """

    width: int
    missing: int
    zero_rows: int
    constant_rows: int


@dataclass(frozen=True)
class ItemColumnSummary:
    """One further column of items: what it holds, the number of distinct values, and of items without one."""

    kind: str
    distinct: int
    missing: int


@dataclass(frozen=True)
class Summary:
    """The key figures of a data set."""

    name: str
    fingerprint: str
    users: int
    items: int
    interactions: int
    density: float  # interactions / (users * items)
    split_method: str | None  # how the interactions were split; None if they were given in memory
    first: str | None  # date and time of the first interaction, in UTC; None if times are not known
    last: str | None  # the same of the last one
    splits: Mapping[Split, SplitSummary]
    users_without_training: int
    items_without_training: int
    titles: bool
    images: int | None  # number of items with an image; None if the source has no images
    features: Mapping[str, FeatureSummary]
    item_columns: Mapping[str, ItemColumnSummary]
    row_counts: RowCounts
    groups: int | None  # number of users that are groups; None if there are no groups
    memberships: int | None  # number of pairs of a group and a member
    cleaning_report: CleaningReport
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return plain nested values for ``json.dumps``."""
        return asdict(self)


def summarize(dataset: Dataset) -> Summary:
    """Compute the key figures of a data set. O(interactions + features)."""
    interactions = dataset.interactions
    train_users, train_items = interactions.indices("train")
    images, times = dataset.images, interactions.timestamps
    return Summary(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=len(interactions),
        density=len(interactions) / max(dataset.n_users * dataset.n_items, 1),
        split_method=dataset.split_report.settings.method,
        first=None if times is None else as_date_time(int(times.min())),
        last=None if times is None else as_date_time(int(times.max())),
        splits={
            split: SplitSummary(interactions.count(split), _without(interactions.indices(split)[0], dataset.n_users))
            for split in SPLITS
        },
        users_without_training=_without(train_users, dataset.n_users),
        items_without_training=_without(train_items, dataset.n_items),
        titles=dataset.titles is not None,
        images=None if images is None else sum(image is not None for image in images),
        features={name: _summarize_features(features) for name, features in dataset.features.items()},
        item_columns=_summarize_columns(dataset.item_columns),
        row_counts=row_counts(dataset),
        groups=None if dataset.groups is None else len(dataset.groups.indices),
        memberships=None if dataset.groups is None else len(dataset.groups.groups),
        cleaning_report=dataset.cleaning_report,
        warnings=dataset.warnings,
    )


def _summarize_columns(columns: pl.DataFrame | None) -> dict[str, ItemColumnSummary]:
    return {
        column.name: ItemColumnSummary(describe_dtype(column), column.drop_nulls().n_unique(), column.null_count())
        for column in (columns.iter_columns() if columns is not None else ())
    }


def _without(indices: Int[ndarray, "n"], size: int) -> int:
    return int((np.bincount(indices, minlength=size) == 0).sum())


def _summarize_features(features: Features) -> FeatureSummary:
    rows = features.values[features.present]
    zero = (rows == 0).all(axis=1)
    constant = (rows == rows[:, :1]).all(axis=1) & ~zero
    return FeatureSummary(
        width=features.width,
        missing=int((~features.present).sum()),
        zero_rows=int(zero.sum()),
        constant_rows=int(constant.sum()),
    )
