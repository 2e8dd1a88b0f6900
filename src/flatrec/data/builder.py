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

from flatrec.config.split import SplitSettings
from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features, align, as_float32
from flatrec.data.id_overlap import IdOverlap, no_overlap_message
from flatrec.data.interactions import SPLITS
from flatrec.data.k_core import k_core_mask
from flatrec.data.log import InteractionLog
from flatrec.data.splitting import split_log
from flatrec.data.vocabulary import Vocabulary

INTEGER = "^-?[0-9]{1,18}$"
OPTIONAL_COLUMNS = ("timestamp", "weight", "quantity")


@dataclass(frozen=True)
class EventSettings:
    """How the events of a source become interactions.

    Args:
        k_core: minimum number of interactions per user and per item; 0 keeps all interactions.
        weigh_quantities: whether the weight of an event is multiplied by its quantity.
        half_life: age in seconds, counted from the newest training event, at which a training event's weight is halved;
            None if weights do not decay.
        repeat: whether an interaction of validation or test stays if the user has the item in an earlier split.

    Raises:
        ValueError: a negative k_core, or a half-life that is not positive.
    """

    k_core: int = 0
    weigh_quantities: bool = False
    half_life: float | None = None
    repeat: bool = False

    def __post_init__(self) -> None:
        if self.k_core < 0:
            raise ValueError(f"k_core must be 0 or more, but is {self.k_core}")
        if self.half_life is not None and not self.half_life > 0:
            raise ValueError(f"half_life must be above 0, but is {self.half_life} seconds")


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
    """The events of a source by index, and the ids in the order of the indices."""

    log: InteractionLog
    user_ids: Sequence[str]
    item_ids: Sequence[str]


def build_dataset(
    name: str,
    interactions: pl.DataFrame,
    *,
    settings: SplitSettings | None = None,
    events: EventSettings | None = None,
    features: Mapping[str, IndexedFeatures] | None = None,
    metadata: ItemMetadata | None = None,
    cleaning_report: TableCleaningReport | None = None,
) -> Dataset:
    """Build a data set from interactions of ids, in any order: the same interactions give the same data set.

    Indices follow the ids: by value if all are whole numbers, else alphabetically. The k-core is taken before the
    split. O(interactions) memory, no Python loop over interactions but those of items that were returned.

    Args:
        name: the name of the data set in reports.
        interactions: text columns ``user`` and ``item``, and optionally ``split`` (whole numbers 0, 1, 2),
            ``timestamp`` (whole Unix seconds), ``weight`` (above 0) and ``quantity`` (below 0 for a return).
        settings: how to split; by default as the column ``split`` says, or at random where there is none.
        events: how events become interactions; the defaults of EventSettings if left out.
        features: rows by modality; the modality is missing for items without a row.
        metadata: titles and images by item id.
        cleaning_report: what reading the interactions changed.

    Raises:
        ValueError: there are no interactions, an id or another cell is missing, a split is not 0, 1 or 2, no
            interaction is left after the filter or in training, the split cannot be made, or features or a table of
            items do not fit.
    """
    _check_frame(name, interactions)
    indexed = _indexed(interactions, events or EventSettings())
    filtered, report = _filtered(name, indexed, (events or EventSettings()).k_core)
    bare = _dataset(name, filtered, settings or SplitSettings(), report)
    items = list(bare.items)
    features, metadata = features or {}, metadata or ItemMetadata()
    _check_overlap(metadata, items)
    aligned = {modality: _aligned(rows, items) for modality, rows in features.items()}
    overlap = IdOverlap(frozenset(items), frozenset(indexed.item_ids))
    tables = [cleaning_report or TableCleaningReport(name), *_tables(features, metadata, overlap)]
    return replace(
        bare,
        features=aligned,
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

    Raises:
        ValueError: there are no interactions, a split is not 0, 1 or 2, no interaction is in training, or the split
            cannot be made.
    """
    if not len(interactions.log):
        raise ValueError(f"{name} has no interactions; give at least one user-item interaction")
    _check_splits(interactions.log)
    report = CleaningReport(duplicates=_duplicates(interactions.log))
    return _dataset(name, interactions, settings or SplitSettings(), report)


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
    for column in OPTIONAL_COLUMNS:
        values = interactions.get_column(column, default=None)
        if values is not None and (not values.dtype.is_numeric() or values.null_count()):
            raise ValueError(
                f"{name} has {values.null_count()} of {len(interactions)} interactions without a {column} "
                f"(type {values.dtype}); give every interaction one, as a number, or leave the column out"
            )


def _indexed(interactions: pl.DataFrame, events: EventSettings) -> IndexedInteractions:
    users, user_ids = _encode(interactions["user"])
    items, item_ids = _encode(interactions["item"])
    optional = {
        f"{name}s" if name != "quantity" else "quantities": interactions[name].to_numpy()
        for name in ("timestamp", "weight", "quantity", "split")
        if name in interactions.columns
    }
    log = InteractionLog(
        users,
        items,
        len(user_ids),
        len(item_ids),
        **optional,
        weigh_quantities=events.weigh_quantities,
        half_life=events.half_life,
        repeat=events.repeat,
    )
    _check_splits(log)
    return IndexedInteractions(log, user_ids, item_ids)


def _check_splits(log: InteractionLog) -> None:
    splits = log.splits
    if splits is not None and (splits.min() < 0 or splits.max() >= len(SPLITS)):
        raise ValueError(
            f"splits must be 0 (train), 1 (valid) or 2 (test), but range from {splits.min()} to {splits.max()}"
        )


def _encode(ids: pl.Series) -> tuple[Int[ndarray, "n_interactions"], list[str]]:
    distinct = ids.unique().rename("id")
    if distinct.str.contains(INTEGER).all():
        # "7" and "007" are two ids of one value: the text settles their order.
        order = distinct.to_frame().with_columns(value=pl.col("id").cast(pl.Int64)).sort("value", "id")
        distinct = order["id"]
    else:
        distinct = distinct.sort()
    indices = ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    return indices, distinct.to_list()


def _duplicates(log: InteractionLog) -> int:
    """Return how many events, returns left out, are not the first of their user and item."""
    cells = np.sort(log.cells[~log.returns])
    return int((cells[1:] == cells[:-1]).sum())


def _filtered(name: str, interactions: IndexedInteractions, k_core: int) -> tuple[IndexedInteractions, CleaningReport]:
    """Return the events of the k-core, indexed without gaps."""
    log, user_ids, item_ids = interactions
    report = CleaningReport(duplicates=_duplicates(log))
    if k_core <= 1:
        return interactions, report
    cells = np.unique(log.cells[~log.returns])
    mask = k_core_mask(cells // log.n_items, cells % log.n_items, k_core)
    if not mask.any():
        raise ValueError(
            f"{name} has no {k_core}-core: of its {len(mask)} interactions none has a user and an item with "
            f"{k_core} interactions each; lower k_core"
        )
    if mask.all():
        return interactions, report
    core = log.take(np.isin(log.cells, cells[mask]))
    users, core_user_ids = _reindexed(core.users, user_ids)
    items, core_item_ids = _reindexed(core.items, item_ids)
    core = replace(core, users=users, items=items, n_users=len(core_user_ids), n_items=len(core_item_ids))
    report = replace(
        report,
        k_core=k_core,
        filtered_users=len(user_ids) - len(core_user_ids),
        filtered_items=len(item_ids) - len(core_item_ids),
        filtered_interactions=int((~mask).sum()),
    )
    return IndexedInteractions(core, core_user_ids, core_item_ids), report


def _reindexed(indices: Int[ndarray, "n"], ids: Sequence[str]) -> tuple[Int[ndarray, "n"], list[str]]:
    used = np.bincount(indices, minlength=len(ids)) > 0
    return (np.cumsum(used) - 1)[indices], [ids[index] for index in np.flatnonzero(used).tolist()]


def _dataset(name: str, interactions: IndexedInteractions, settings: SplitSettings, report: CleaningReport) -> Dataset:
    log, user_ids, item_ids = interactions
    split_interactions, split_report = split_log(log, settings, name)
    return Dataset(
        name,
        split_interactions,
        Vocabulary("user", user_ids),
        Vocabulary("item", item_ids),
        cleaning_report=report,
        split_report=split_report,
        log=log if len(log) > len(split_interactions) or log.quantities is not None or log.half_life else None,
    )


def _aligned(rows: IndexedFeatures, items: list[str]) -> Features:
    return align(list(rows.ids), as_float32(rows.values), items, rows.source)
