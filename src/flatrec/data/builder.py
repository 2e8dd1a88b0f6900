"""From raw interactions to a data set: duplicates, k-core filter, indices, split, alignment of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int, Shaped
from numpy import ndarray

from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features, align, as_float32
from flatrec.data.id_overlap import IdOverlap, no_overlap_message
from flatrec.data.interactions import SPLITS, Interactions
from flatrec.data.splitting import Ratios, fractions_of, k_core_mask, split
from flatrec.data.vocabulary import Vocabulary

INTEGER = "^-?[0-9]{1,18}$"


@dataclass(frozen=True)
class SplitSettings:
    """How interactions that come without a split are filtered and split.

    Args:
        k_core: minimum number of interactions per user and per item; 0 keeps all interactions.
        seed: seed of the random split.
        ratios: weights of training, validation and test.

    Raises:
        ValueError: a negative k_core or seed, or ratios that cannot split anything.
    """

    k_core: int = 5
    seed: int = 0
    ratios: Ratios = (8, 1, 1)

    def __post_init__(self) -> None:
        for name, value in (("k_core", self.k_core), ("seed", self.seed)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, but is {value}")
        fractions_of(self.ratios)  # refuses what cannot split anything


@dataclass(frozen=True, eq=False)
class IndexedFeatures:
    """Feature rows and the id of the item that each row describes.

    Raises:
        ValueError: not a numeric matrix, or another number of rows than ids.
    """

    ids: Sequence[str]  # one item id per row
    values: Shaped[ndarray, "..."]  # one row per id
    source: str  # the name of the features in messages, e.g. ``shop/image.npy``.
    cleaning_report: TableCleaningReport | None = None  # what reading the file changed

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype.kind not in "fiu":
            raise ValueError(
                f"{self.source} must be a numeric matrix with one row per item, "
                f"but has shape {self.values.shape} and type {self.values.dtype}"
            )
        if len(self.values) != len(self.ids):
            raise ValueError(
                f"{self.source} has {len(self.values)} rows for {len(self.ids)} item ids; give one id per row"
            )


@dataclass(frozen=True, eq=False)
class ItemMetadata:
    """What the source says about items besides features, by item id; other ids are ignored."""

    titles: Mapping[str, str] = field(default_factory=dict)  # readable names; the id is shown for an item without one
    images: Mapping[str, Path] = field(default_factory=dict)  # image files
    ids: Sequence[str] | None = None  # the ids of all rows of the table; those of titles and images if left out
    cleaning_report: TableCleaningReport | None = None  # what reading the table changed
    source: str = "the table of items"  # the name of the table in messages


class IndexedInteractions(NamedTuple):
    """Interactions whose users and items have indices already; duplicates are allowed.

    ``splits`` is None if the source gives no split. The ids are in the order of the indices.
    """

    users: Int[ndarray, "n_interactions"]
    items: Int[ndarray, "n_interactions"]
    splits: Int[ndarray, "n_interactions"] | None
    user_ids: Sequence[str]
    item_ids: Sequence[str]


def build_dataset(
    name: str,
    interactions: pl.DataFrame,
    *,
    settings: SplitSettings | None = None,
    features: Mapping[str, IndexedFeatures] | None = None,
    metadata: ItemMetadata | None = None,
    cleaning_report: TableCleaningReport | None = None,
) -> Dataset:
    """Build a data set from interactions of ids, in any order: the same interactions give the same data set.

    Indices follow the ids: by value if all are whole numbers, else alphabetically. If the frame has a ``split``
    column, that split is kept and nothing is filtered; otherwise the k-core is split at random.
    O(interactions) memory, no Python loop over interactions.

    Args:
        name: the name of the data set in reports.
        interactions: text columns ``user`` and ``item``, and optionally the whole-number column ``split`` (0, 1, 2).
        settings: how to filter and split interactions without a split; the defaults of SplitSettings if left out.
        features: rows by modality; the modality is missing for items without a row.
        metadata: titles and images by item id.
        cleaning_report: what reading the interactions changed.

    Raises:
        ValueError: there are no interactions, an id or a split is missing, a split is not 0, 1 or 2, no interaction is
            left after the filter or in training, or features or a table of items do not fit.
    """
    settings = settings or SplitSettings()
    _check_frame(name, interactions)
    indexed = _indexed(interactions)
    filtered, report = _filtered(name, indexed, settings.k_core)
    bare = _dataset(name, filtered, settings, report)
    items = list(bare.items)
    features, metadata = features or {}, metadata or ItemMetadata()
    _check_overlap(metadata, items)
    aligned = {modality: _aligned(rows, items) for modality, rows in features.items()}
    overlap = IdOverlap(frozenset(items), frozenset(indexed.item_ids))
    tables = [cleaning_report or TableCleaningReport(name), *_tables(features, metadata, overlap)]
    return Dataset(
        name,
        bare.interactions,
        bare.users,
        bare.items,
        aligned,
        titles=tuple(metadata.titles.get(item, item) for item in items) if metadata.titles else None,
        images=tuple(map(metadata.images.get, items)) if metadata.images else None,
        cleaning_report=replace(
            bare.cleaning_report,
            unknown_features=sum(len(set(rows.ids).difference(items)) for rows in features.values()),
            items_without_title=sum(item not in metadata.titles for item in items) if metadata.titles else 0,
            items_without_image=sum(item not in metadata.images for item in items) if metadata.images else 0,
            tables=tuple(table for table in tables if any(table.sentences())),
        ),
    )


def build_indexed_dataset(
    name: str, interactions: IndexedInteractions, settings: SplitSettings | None = None
) -> Dataset:
    """Build a data set from interactions whose source fixes the indices: no user or item is filtered or reindexed.

    Duplicates are removed, and interactions without splits are split at random.

    Raises:
        ValueError: there are no interactions, a split is not 0, 1 or 2, or no interaction is in training.
    """
    if not len(interactions.users):
        raise ValueError(f"{name} has no interactions; give at least one user-item interaction")
    distinct, duplicates = _distinct(interactions)
    return _dataset(name, distinct, settings or SplitSettings(), CleaningReport(duplicates=duplicates))


def _tables(
    features: Mapping[str, IndexedFeatures], metadata: ItemMetadata, overlap: IdOverlap
) -> Iterator[TableCleaningReport]:
    """Yield what was changed in the files of features and items, with the rows that belong to no item."""
    for rows in features.values():
        yield overlap.add_unused_rows(rows.ids, rows.cleaning_report or TableCleaningReport(Path(rows.source).name))
    if metadata.cleaning_report is not None:
        yield overlap.add_unused_rows(metadata.ids or (), metadata.cleaning_report)


def _check_overlap(metadata: ItemMetadata, items: Sequence[str]) -> None:
    """Refuse a table of items that has a row for none of the items, as a table of features is refused."""
    ids = [*metadata.titles, *metadata.images] if metadata.ids is None else metadata.ids
    if not ids or not set(ids).isdisjoint(items):
        return
    raise ValueError(no_overlap_message(metadata.source, ids, items))


def _check_frame(name: str, interactions: pl.DataFrame) -> None:
    if interactions.is_empty():
        raise ValueError(f"{name} has no interactions; give at least one user-item interaction")
    for column in ("user", "item"):
        if interactions.schema.get(column) != pl.String:
            raise ValueError(f"{name} must have the text columns user and item, but has {interactions.schema}")
        missing = int((interactions[column].is_null() | (interactions[column] == "")).sum())
        if missing:
            raise ValueError(
                f"{name} has {missing} of {len(interactions)} interactions without {column} id; "
                "fill them in or leave them out"
            )
    splits = interactions.get_column("split", default=None)
    if splits is not None and (not splits.dtype.is_integer() or splits.null_count()):
        raise ValueError(
            f"{name} has {splits.null_count()} of {len(interactions)} interactions without a split "
            f"(type {splits.dtype}); "
            "give every interaction 0 (train), 1 (valid) or 2 (test), or leave the column out"
        )


def _indexed(interactions: pl.DataFrame) -> IndexedInteractions:
    users, user_ids = _encode(interactions["user"])
    items, item_ids = _encode(interactions["item"])
    splits = interactions["split"].to_numpy() if "split" in interactions.columns else None
    return IndexedInteractions(users, items, splits, user_ids, item_ids)


def id_order(ids: pl.Series) -> Int[ndarray, "n_ids"]:
    """Return the order in which distinct ids get indices: by value if all are whole numbers, else alphabetical."""
    if not ids.str.contains(INTEGER).all():
        return ids.arg_sort().to_numpy().astype(np.int64)
    # "7" and "007" are two ids of one value: the text settles their order.
    values = pl.DataFrame({"value": ids.cast(pl.Int64), "id": ids})
    return values.select(pl.arg_sort_by("value", "id")).to_series().to_numpy().astype(np.int64)


def _encode(ids: pl.Series) -> tuple[Int[ndarray, "n_interactions"], list[str]]:
    distinct = ids.unique().rename("id")
    distinct = distinct.gather(id_order(distinct))
    indices = ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    return indices, distinct.to_list()


def _distinct(interactions: IndexedInteractions) -> tuple[IndexedInteractions, int]:
    """Return interactions sorted by user and item, each once and in its first split, and how many rows were removed."""
    n_items, n_splits = len(interactions.item_ids), len(SPLITS)
    splits = np.zeros(1, dtype=np.int64) if interactions.splits is None else interactions.splits.astype(np.int64)
    if splits.min() < 0 or splits.max() >= n_splits:
        raise ValueError(
            f"splits must be 0 (train), 1 (valid) or 2 (test), but range from {splits.min()} to {splits.max()}"
        )
    # One sortable number per row, the split last: the first row of an interaction is the one to keep.
    keys = np.sort((interactions.users.astype(np.int64) * n_items + interactions.items) * n_splits + splits)
    cells = keys // n_splits
    first = np.concatenate([[True], cells[1:] != cells[:-1]])
    cells = cells[first]
    splits_left = None if interactions.splits is None else keys[first] % n_splits
    distinct = interactions._replace(users=cells // n_items, items=cells % n_items, splits=splits_left)
    return distinct, int(len(keys) - len(cells))


def _filtered(name: str, interactions: IndexedInteractions, k_core: int) -> tuple[IndexedInteractions, CleaningReport]:
    """Return distinct interactions, only those of the k-core if they come without a split, indexed without gaps."""
    distinct, duplicates = _distinct(interactions)
    if distinct.splits is not None:
        return distinct, CleaningReport(duplicates=duplicates)
    mask = k_core_mask(distinct.users, distinct.items, k_core)
    if not mask.any():
        raise ValueError(
            f"{name} has no {k_core}-core: of its {len(mask)} interactions none has a user and an item with "
            f"{k_core} interactions each; lower k_core"
        )
    users, user_ids = _reindexed(distinct.users[mask], distinct.user_ids)
    items, item_ids = _reindexed(distinct.items[mask], distinct.item_ids)
    cleaning_report = CleaningReport(
        duplicates=duplicates,
        k_core=k_core if not mask.all() else 0,
        filtered_users=len(distinct.user_ids) - len(user_ids),
        filtered_items=len(distinct.item_ids) - len(item_ids),
        filtered_interactions=int((~mask).sum()),
    )
    return IndexedInteractions(users, items, None, user_ids, item_ids), cleaning_report


def _reindexed(indices: Int[ndarray, "n"], ids: Sequence[str]) -> tuple[Int[ndarray, "n"], list[str]]:
    used = np.bincount(indices, minlength=len(ids)) > 0
    return (np.cumsum(used) - 1)[indices], [ids[index] for index in np.flatnonzero(used).tolist()]


def _dataset(name: str, interactions: IndexedInteractions, settings: SplitSettings, report: CleaningReport) -> Dataset:
    users, items, splits, user_ids, item_ids = interactions
    if splits is None:
        splits = split(users, len(user_ids), settings.seed, settings.ratios)
    if not (splits == 0).any():
        raise ValueError(
            f"{name} has {len(splits)} interactions but none in training (split 0); check the split column"
        )
    return Dataset(
        name,
        Interactions(users, items, splits, len(user_ids), len(item_ids)),
        Vocabulary("user", user_ids),
        Vocabulary("item", item_ids),
        cleaning_report=report,
    )


def _aligned(rows: IndexedFeatures, items: list[str]) -> Features:
    return align(list(rows.ids), as_float32(rows.values), items, rows.source)
