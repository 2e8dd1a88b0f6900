"""From raw interactions to a data set: duplicates, k-core filter, indices, split, alignment of features."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
from jaxtyping import Shaped
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.cleaning import CleaningReport, EventReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.event_frame import check_events, check_splits, index_events, settle_quantities
from flatrec.data.features import Features, align, as_float32
from flatrec.data.groups import Memberships, index_groups
from flatrec.data.id_overlap import IdOverlap, no_overlap_message
from flatrec.data.item_columns import align_item_columns
from flatrec.data.k_core import filter_k_core
from flatrec.data.log import IndexedInteractions
from flatrec.data.splitting import split_log
from flatrec.data.vocabulary import Vocabulary


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
    columns: pl.DataFrame | None = None  # further columns, one row per entry of ``ids``
    cleaning_report: TableCleaningReport | None = None  # what reading the table changed
    source: str = "the table of items"  # the name of the table in messages


def build_dataset(
    name: str,
    interactions: pl.DataFrame,
    *,
    settings: SplitSettings | None = None,
    events: EventSettings | None = None,
    features: Mapping[str, IndexedFeatures] | None = None,
    metadata: ItemMetadata | None = None,
    memberships: Memberships | None = None,
    cleaning_report: TableCleaningReport | None = None,
    event_report: EventReport | None = None,
) -> Dataset:
    """Build a data set from interactions of ids, in any order: the same interactions give the same data set.

    Indices follow the ids: by value if all are whole numbers, else alphabetically. The k-core is taken before the
    split. O(interactions) memory, no Python loop over interactions but those of items that were returned.

    Args:
        name: the name of the data set in reports.
        interactions: text columns ``user`` and ``item``, and optionally ``split`` (whole numbers 0, 1, 2),
            ``timestamp`` (whole Unix seconds), ``weight`` (above 0), ``quantity`` (below 0 for a return; rows with 0
            are left out) and ``returnable`` (whether a return may cancel the row; if left out, it may cancel any).
        settings: how to split; by default as the column ``split`` says, or at random where there is none.
        events: how events become interactions; the defaults of EventSettings if left out.
        features: rows by modality; the modality is missing for items without a row.
        metadata: titles and images by item id.
        memberships: which users are groups, and who their members are; both are users, with or without an interaction.
        cleaning_report: what reading the interactions changed.
        event_report: the rows that reading left out.

    Raises:
        ValueError: there are no interactions, an id or another cell is missing, a split is not 0, 1 or 2, no
            interaction is left after the filter or in training, the split cannot be made, features or a table of
            items do not fit, or there are groups and a k-core.
    """
    events = events or EventSettings()
    check_events(name, interactions)
    _check_needs(name, interactions, events)
    interactions, event_report = settle_quantities(name, interactions, event_report, weigh=events.weigh_quantities)
    indexed = index_events(interactions, _users_of(name, memberships, events))
    log = replace(
        indexed.log,
        weigh_quantities=events.weigh_quantities,
        half_life=events.half_life,
        repeat=events.repeat,
    )
    indexed = indexed._replace(log=log)
    filtered, report = filter_k_core(name, indexed, events.k_core)
    bare = _dataset(name, filtered, settings or SplitSettings(), replace(report, events=event_report))
    items = list(bare.items)
    features, metadata = features or {}, metadata or ItemMetadata()
    _check_overlap(metadata, items)
    aligned = {modality: _aligned(rows, items) for modality, rows in features.items()}
    overlap = IdOverlap(frozenset(items), frozenset(indexed.item_ids))
    tables = [cleaning_report or TableCleaningReport(name), *_tables(features, metadata, overlap)]
    tables += [memberships.cleaning_report] if memberships and memberships.cleaning_report else []
    return replace(
        bare,
        features=aligned,
        titles=tuple(metadata.titles.get(item, item) for item in items) if metadata.titles else None,
        images=tuple(map(metadata.images.get, items)) if metadata.images else None,
        item_columns=_item_columns(metadata, items),
        groups=index_groups(memberships, list(bare.users)) if memberships else None,
        cleaning_report=replace(
            bare.cleaning_report,
            unknown_features=sum(len(set(rows.ids).difference(items)) for rows in features.values()),
            items_without_row=_without(items, metadata.ids),
            items_without_title=_without(items, metadata.titles or None),
            items_without_image=_without(items, metadata.images or None),
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
    check_splits(interactions.log)
    report = CleaningReport(events=EventReport(rows=len(interactions.log)))
    return _dataset(name, interactions, settings or SplitSettings(), report)


def _check_needs(name: str, interactions: pl.DataFrame, events: EventSettings) -> None:
    for setting, needed in ((events.half_life, "timestamp"), (events.weigh_quantities, "quantity")):
        if setting and needed not in interactions.columns:
            what = "half_life needs the time" if needed == "timestamp" else "weigh_quantities needs the quantity"
            column = "time_column" if needed == "timestamp" else "quantity_column"
            raise ValueError(f"{what} of every interaction, but {name} has none; name its column with {column}")


def _users_of(name: str, memberships: Memberships | None, events: EventSettings) -> list[str]:
    """Return the ids of all groups and members."""
    if memberships is None:
        return []
    if events.k_core > 1:
        raise ValueError(
            f"{name} has groups, from which k_core = {events.k_core} would remove members with few interactions of "
            "their own; leave k_core out"
        )
    return [*memberships.groups, *memberships.persons]


def _without(items: Sequence[str], ids: Collection[str] | None) -> int:
    """Return how many items are not among the ids; 0 if there are none."""
    return 0 if ids is None else len(set(items).difference(ids))


def _item_columns(metadata: ItemMetadata, items: Sequence[str]) -> pl.DataFrame | None:
    if metadata.columns is None:
        return None
    return align_item_columns(metadata.ids or (), metadata.columns, items, metadata.source)


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
