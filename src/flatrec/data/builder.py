"""From raw pairs to a data set: duplicates, k-core, numbers, split and alignment."""

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
from flatrec.data.features import Features, aligned, as_float32
from flatrec.data.id_overlap import Meeting, unmet
from flatrec.data.interactions import SPLITS, Interactions
from flatrec.data.splitting import Ratios, check_ratios, k_core, split
from flatrec.data.vocabulary import Vocabulary

INTEGER = "^-?[0-9]{1,18}$"


@dataclass(frozen=True)
class SplitSettings:
    """How pairs without a given split are filtered and split.

    Args:
        core: the fewest pairs a user and an item must have; 0 keeps all.
        seed: seed of the random split.
        ratios: weights of training, validation and test.

    Raises:
        ValueError: a negative core or seed, or ratios that cannot split anything.
    """

    core: int = 5
    seed: int = 0
    ratios: Ratios = (8, 1, 1)

    def __post_init__(self) -> None:
        for name, value in (("core", self.core), ("seed", self.seed)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, but is {value}")
        check_ratios(self.ratios)


@dataclass(frozen=True, eq=False)
class IndexedFeatures:
    """Feature rows and the id of the item that each describes.

    Args:
        ids: one item id a row.
        values: one row an id.
        source: how messages call it, e.g. ``shop/image.npy``.
        repairs: what reading its file changed.

    Raises:
        ValueError: not a numeric matrix, or another number of rows than ids.
    """

    ids: Sequence[str]
    values: Shaped[ndarray, "..."]
    source: str
    repairs: TableCleaningReport | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype.kind not in "fiu":
            raise ValueError(
                f"{self.source} must be a numeric matrix with a row an item, "
                f"but has shape {self.values.shape} and type {self.values.dtype}"
            )
        if len(self.values) != len(self.ids):
            raise ValueError(
                f"{self.source} has {len(self.values)} rows for {len(self.ids)} item ids; give one id a row"
            )


@dataclass(frozen=True, eq=False)
class ItemTexts:
    """What the source tells about items besides features, by item id; ids that are no items are ignored.

    Args:
        titles: a readable name; an item without one is called by its id.
        images: an image file.
        ids: of all rows of the table that they are from; those of titles and images if left out.
        repairs: what reading the table changed.
        source: how messages call the table.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    ids: Sequence[str] | None = None
    repairs: TableCleaningReport | None = None
    source: str = "the table of items"


class IndexedInteractions(NamedTuple):
    """Pairs whose users and items have numbers already; duplicates allowed.

    ``splits`` is None where the source gives no split. The ids are in the order of the numbers.
    """

    users: Int[ndarray, "n_pairs"]
    items: Int[ndarray, "n_pairs"]
    splits: Int[ndarray, "n_pairs"] | None
    user_ids: Sequence[str]
    item_ids: Sequence[str]


def build_dataset(
    name: str,
    pairs: pl.DataFrame,
    *,
    settings: SplitSettings | None = None,
    features: Mapping[str, IndexedFeatures] | None = None,
    texts: ItemTexts | None = None,
    repairs: TableCleaningReport | None = None,
) -> Dataset:
    """A data set from pairs of ids, in any order: the same pairs give the same data set.

    Numbers follow the ids: by value if all are whole numbers, else alphabetically. Where the frame has a
    ``part`` column the split is kept as it is and nothing is filtered; otherwise the k-core is taken and
    split at random. O(pairs) memory, no Python loop over pairs.

    Args:
        name: how reports call the data set.
        pairs: text columns ``user`` and ``item``, and optionally the whole-number column ``part`` (0, 1, 2).
        settings: filter and split for pairs without splits; the defaults of SplitSettings if left out.
        features: rows by modality; items without a row lack the modality.
        texts: titles and images by item id.
        repairs: what reading the pairs changed.

    Raises:
        ValueError: no pairs, an id or a part is missing, a part is not 0, 1 or 2, no pair is left by the
            filter or in training, or features or a table of items do not fit.
    """
    settings = settings or SplitSettings()
    _check_frame(name, pairs)
    given = _numbered(pairs)
    numbered, counted = _filtered(name, given, settings.core)
    bare = _dataset(name, numbered, settings, counted)
    items = list(bare.items)
    features, texts = features or {}, texts or ItemTexts()
    _check_meeting(texts, items)
    known = {modality: _aligned(rows, items) for modality, rows in features.items()}
    meeting = Meeting(frozenset(items), frozenset(given.item_ids))
    tables = [repairs or TableCleaningReport(name), *_tables(features, texts, meeting)]
    return Dataset(
        name,
        bare.interactions,
        bare.users,
        bare.items,
        known,
        titles=tuple(texts.titles.get(item, item) for item in items) if texts.titles else None,
        images=tuple(map(texts.images.get, items)) if texts.images else None,
        repairs=replace(
            bare.repairs,
            unknown_features=sum(len(set(rows.ids).difference(items)) for rows in features.values()),
            untitled=sum(item not in texts.titles for item in items) if texts.titles else 0,
            unimaged=sum(item not in texts.images for item in items) if texts.images else 0,
            tables=tuple(table for table in tables if any(table.sentences())),
        ),
    )


def build_indexed_dataset(name: str, pairs: IndexedInteractions, settings: SplitSettings | None = None) -> Dataset:
    """A data set from pairs whose source fixes the numbers: no user or item is filtered or renumbered.

    Duplicates are removed, and pairs without splits are split at random.

    Raises:
        ValueError: no pairs, a part is not 0, 1 or 2, or no pair is in training.
    """
    if not len(pairs.users):
        raise ValueError(f"{name} has no pairs; give at least one user-item pair")
    distinct, duplicates = _distinct(pairs)
    return _dataset(name, distinct, settings or SplitSettings(), CleaningReport(duplicates=duplicates))


def _tables(
    features: Mapping[str, IndexedFeatures], texts: ItemTexts, meeting: Meeting
) -> Iterator[TableCleaningReport]:
    """What was changed in the files of features and items, and which of their rows are of no item."""
    for rows in features.values():
        yield meeting.repairs(rows.ids, rows.repairs or TableCleaningReport(Path(rows.source).name))
    if texts.repairs is not None:
        yield meeting.repairs(texts.ids or (), texts.repairs)


def _check_meeting(texts: ItemTexts, items: Sequence[str]) -> None:
    """Refuse a table of items that is about none of the items, as a table of features is refused."""
    ids = [*texts.titles, *texts.images] if texts.ids is None else texts.ids
    if not ids or not set(ids).isdisjoint(items):
        return
    raise ValueError(unmet(texts.source, ids, items))


def _check_frame(name: str, pairs: pl.DataFrame) -> None:
    if pairs.is_empty():
        raise ValueError(f"{name} has no pairs; give at least one user-item pair")
    for column in ("user", "item"):
        if pairs.schema.get(column) != pl.String:
            raise ValueError(f"{name} must have the text columns user and item, but has {pairs.schema}")
        missing = int((pairs[column].is_null() | (pairs[column] == "")).sum())
        if missing:
            raise ValueError(
                f"{name} has {missing} of {len(pairs)} pairs without {column} id; fill them in or leave them out"
            )
    splits = pairs.get_column("part", default=None)
    if splits is not None and (not splits.dtype.is_integer() or splits.null_count()):
        raise ValueError(
            f"{name} has {splits.null_count()} of {len(pairs)} pairs without a part (type {splits.dtype}); "
            "give every pair 0 (train), 1 (valid) or 2 (test), or no pair any"
        )


def _numbered(pairs: pl.DataFrame) -> IndexedInteractions:
    users, user_ids = _coded(pairs["user"])
    items, item_ids = _coded(pairs["item"])
    splits = pairs["part"].to_numpy() if "part" in pairs.columns else None
    return IndexedInteractions(users, items, splits, user_ids, item_ids)


def _coded(names: pl.Series) -> tuple[Int[ndarray, "n_pairs"], list[str]]:
    """The number of every name, and the names in the order of their numbers."""
    distinct = names.unique().rename("id")
    if distinct.str.contains(INTEGER).all():
        # "7" and "007" are two ids of one value: the text settles their order.
        order = distinct.to_frame().with_columns(value=pl.col("id").cast(pl.Int64)).sort("value", "id")
        distinct = order["id"]
    else:
        distinct = distinct.sort()
    numbers = names.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    return numbers, distinct.to_list()


def _distinct(pairs: IndexedInteractions) -> tuple[IndexedInteractions, int]:
    """Pairs by user and then item, each once and in its first part, and how many rows that removed."""
    n_items, n_parts = len(pairs.item_ids), len(SPLITS)
    splits = np.zeros(1, dtype=np.int64) if pairs.splits is None else pairs.splits.astype(np.int64)
    if splits.min() < 0 or splits.max() >= n_parts:
        raise ValueError(
            f"splits must be 0 (train), 1 (valid) or 2 (test), but range from {splits.min()} to {splits.max()}"
        )
    # One sortable number a row, the part last: the first row of a pair is the one to keep.
    keys = np.sort((pairs.users.astype(np.int64) * n_items + pairs.items) * n_parts + splits)
    cells = keys // n_parts
    first = np.concatenate([[True], cells[1:] != cells[:-1]])
    cells = cells[first]
    kept = None if pairs.splits is None else keys[first] % n_parts
    distinct = pairs._replace(users=cells // n_items, items=cells % n_items, splits=kept)
    return distinct, int(len(keys) - len(cells))


def _filtered(name: str, pairs: IndexedInteractions, core: int) -> tuple[IndexedInteractions, CleaningReport]:
    """Distinct pairs, of the k-core where there is no given split, numbered without gaps."""
    distinct, duplicates = _distinct(pairs)
    if distinct.splits is not None:
        return distinct, CleaningReport(duplicates=duplicates)
    mask = k_core(distinct.users, distinct.items, core)
    if not mask.any():
        raise ValueError(
            f"{name} has no {core}-core: of its {len(mask)} pairs none has a user and an item with "
            f"{core} pairs each; lower core"
        )
    users, user_ids = _renumbered(distinct.users[mask], distinct.user_ids)
    items, item_ids = _renumbered(distinct.items[mask], distinct.item_ids)
    repairs = CleaningReport(
        duplicates=duplicates,
        core=core if not mask.all() else 0,
        filtered_users=len(distinct.user_ids) - len(user_ids),
        filtered_items=len(distinct.item_ids) - len(item_ids),
        filtered_pairs=int((~mask).sum()),
    )
    return IndexedInteractions(users, items, None, user_ids, item_ids), repairs


def _renumbered(numbers: Int[ndarray, "n"], names: Sequence[str]) -> tuple[Int[ndarray, "n"], list[str]]:
    used = np.bincount(numbers, minlength=len(names)) > 0
    return (np.cumsum(used) - 1)[numbers], [names[number] for number in np.flatnonzero(used).tolist()]


def _dataset(name: str, pairs: IndexedInteractions, settings: SplitSettings, repairs: CleaningReport) -> Dataset:
    n_users, n_items = len(pairs.user_ids), len(pairs.item_ids)
    splits = pairs.splits
    if splits is None:
        splits = split(pairs.users, n_users, settings.seed, settings.ratios)
    if not (splits == 0).any():
        raise ValueError(f"{name} has {len(splits)} pairs but none in training (part 0); check its split")
    users, items = pairs.users.astype(np.int32), pairs.items.astype(np.int32)
    interactions = Interactions(users, items, splits.astype(np.int8), n_users, n_items)
    return Dataset(
        name, interactions, Vocabulary("user", pairs.user_ids), Vocabulary("item", pairs.item_ids), repairs=repairs
    )


def _aligned(rows: IndexedFeatures, items: list[str]) -> Features:
    return aligned(list(rows.ids), as_float32(rows.values), items, rows.source)
