"""What MMRec and MRLib folders share: ``itemID`` is the index of an item and of its feature row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int, Shaped
from numpy import ndarray

from flatrec.data.builder import build_indexed_dataset
from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.groups import Groups
from flatrec.data.item_columns import RESERVED, align_item_columns
from flatrec.data.log import IndexedInteractions, InteractionLog
from flatrec.data.tables.arrays import read_array, read_mask
from flatrec.data.tables.columns import as_ids, as_indices, to_dict
from flatrec.data.tables.files import Table, TableRows, scan, visible
from flatrec.data.tables.images import existing_images
from flatrec.data.tables.numbers import as_weights
from flatrec.data.tables.parquet import ENDING
from flatrec.data.tables.row_numbers import ROW_NUMBERS
from flatrec.data.tables.splits import as_splits
from flatrec.data.tables.times import as_timestamps
from flatrec.data.tables.typed import plain_columns, typed_columns
from flatrec.utils.messages import clipped

FEATURE_SUFFIXES = (".npy", ".pt")
ITEM_TABLES = ("items.parquet", "items.csv")
USER_TABLE = "users.parquet"
GROUP_TABLE = "groups.parquet"
IMAGE_FOLDERS = ("posters", "images")
MAX_GAP_FACTOR = 10  # indices per item at most, if no feature file says how many items there are
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class _Items:
    """What the table of items says, by item index as text; ``size`` is the highest index plus one.

    Each of ``columns`` has one row per entry of ``indices``.
    """

    size: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    cleaning_report: TableCleaningReport | None = None
    columns: pl.DataFrame | None = None
    indices: Int[ndarray, "n_rows"] | None = None


def read_indexed(name: str, interactions: TableRows) -> Dataset:
    """Build a data set from indexed interactions, as read from the file, and the other files of their folder.

    The index of a user is its rank among all ``userID`` (of the interactions and of ``users.parquet``, if it exists);
    ``groups.parquet``, if it exists, has one row per membership, ``groupID`` and ``memberID``, which are ``userID``;
    the index of an item is its ``itemID``. There are as many items as feature rows; without features, the highest
    ``itemID`` of the interactions and the table of items decides. Nothing is filtered, since feature rows belong to
    indices; interactions without a split are split 8:1:1 with seed 0. ``timestamp`` and ``weight`` are read if the
    interactions have them.

    Raises:
        FileNotFoundError: an image listed in the items table does not exist.
        ValueError: an index is negative or not whole, an item has no feature row, or features do not fit.
    """
    path, folder = interactions.path, interactions.path.parent
    _check_ids(interactions)
    numbers = as_indices(interactions["userID"], path).to_numpy()
    user_numbers, id_of = _users(numbers, folder)
    user_ids = [id_of.get(name, name) for name in map(str, user_numbers.tolist())]
    users = np.searchsorted(user_numbers, numbers)
    items = as_indices(interactions["itemID"], path).to_numpy()
    splits = as_splits(interactions, "x_label").to_numpy() if "x_label" in interactions else None
    table = _items(folder)
    files = feature_files(folder)
    arrays = {modality: read_array(file) for modality, file in files.items()}
    size = max(table.size, int(items.max()) + 1)
    n_items = next((len(array) for array in arrays.values() if array.ndim), size)
    if size > n_items:
        raise ValueError(
            f"{folder} has items up to index {size - 1}, but {next(iter(files.values())).name} has "
            f"{n_items} rows (indices 0 to {n_items - 1}); give it one row per item"
        )
    distinct = len(np.unique(items))
    if not arrays and n_items > MAX_GAP_FACTOR * (distinct + len(table.ids) + len(table.titles) + 1_000):
        raise ValueError(
            f"{folder} has {distinct} items with indices up to {size - 1}; index items from 0 without large gaps, "
            "or read the interactions as a plain table, where ids may be anything"
        )
    item_ids = [table.ids.get(index, index) for index in map(str, range(n_items))]
    log = InteractionLog(
        users,
        items,
        len(user_ids),
        n_items,
        timestamps=as_timestamps(interactions, "timestamp").to_numpy() if "timestamp" in interactions else None,
        weights=as_weights(interactions, "weight", 32).to_numpy() if "weight" in interactions else None,
        splits=splits,
    )
    dataset = build_indexed_dataset(name, IndexedInteractions(log, user_ids, item_ids))
    dataset = replace(
        dataset,
        cleaning_report=_cleaning_report(dataset.cleaning_report, interactions.cleaning_report(), table, n_items),
        groups=_groups(user_numbers, folder),
    )
    features = {key: _features(array, n_items, files[key]) for key, array in arrays.items()}
    return _with_metadata(dataset.with_features(features), table)


def feature_files(folder: Path) -> dict[str, Path]:
    """Return the feature file of every modality: ``MODALITY_feat.npy`` or ``MODALITY_feat.pt``.

    Raises:
        ValueError: a modality has two files.
    """
    files: dict[str, Path] = {}
    for path in visible(folder, "*"):
        modality = path.stem.removesuffix("_feat")
        if path.suffix not in FEATURE_SUFFIXES or modality in ("", path.stem):
            continue
        if modality in files:
            raise ValueError(f"{folder} has both {files[modality].name} and {path.name}; keep one of them")
        files[modality] = path
    return files


def _users(numbers: Int[ndarray, "n_interactions"], folder: Path) -> tuple[Int[ndarray, "n_users"], dict[str, str]]:
    """Return the ``userID`` of every user in increasing order, and original ids by ``userID``."""
    path = folder / USER_TABLE
    id_of: dict[str, str] = {}
    listed = np.zeros(0, dtype=np.int64)
    if path.is_file():
        rows = scan(path).select({"userID": "userID", "id": "id"})
        column = as_indices(rows["userID"], path)
        listed = _unique(column, path).to_numpy()
        id_of = to_dict(column.cast(pl.String), _names(rows), path)
    return np.union1d(numbers, listed), id_of


def _groups(user_numbers: Int[ndarray, "n_users"], folder: Path) -> Groups | None:
    """Return the memberships of ``groups.parquet``, if there is one."""
    path = folder / GROUP_TABLE
    if not path.is_file():
        return None
    rows = scan(path).select({"groupID": "groupID", "memberID": "memberID"})
    groups, persons = (as_indices(rows[name], path).to_numpy() for name in ("groupID", "memberID"))
    unknown = np.setdiff1d(np.concatenate([groups, persons]), user_numbers)
    if len(unknown):
        raise ValueError(
            f"{path} has {len(unknown)} groups or members without an interaction, such as {unknown[0]}; add them to "
            f"{USER_TABLE}"
        )
    return Groups(np.searchsorted(user_numbers, groups), np.searchsorted(user_numbers, persons), len(user_numbers))


def _items(folder: Path) -> _Items:
    path = next((folder / name for name in ITEM_TABLES if (folder / name).is_file()), None)
    if path is None:
        return _Items(images=_image_folder(folder))
    table = scan(path, wanted=[("itemID",)])
    optional = [name for name in ("id", "title", "image") if name in table.columns]
    others = _item_columns(table)
    rows = table.select({name: name for name in ("itemID", *optional, *others)})
    column = _unique(as_indices(rows["itemID"], path), path)
    indices = column.cast(pl.String)
    columns = {name: _names(rows) if name == "id" else rows.texts(name) for name in optional}
    texts = {name: to_dict(indices, values, path) for name, values in columns.items()}
    images = existing_images(texts["image"], path) if "image" in optional else _image_folder(folder)
    return _Items(
        int(column.to_numpy().max()) + 1,
        texts.get("id", {}),
        texts.get("title", {}),
        images,
        rows.cleaning_report(),
        typed_columns(rows, others) if others else None,
        column.to_numpy(),
    )


def _item_columns(table: Table) -> list[str]:
    """Return the further columns that describe items; row numbers, and columns of lists and the like, are none."""
    return [
        name
        for name in plain_columns(table.frame.select(table.columns))
        if name not in RESERVED and not ROW_NUMBERS.fullmatch(name)
    ]


def _names(rows: TableRows) -> pl.Series:
    """Return original ids: those in Parquet as flatrec wrote them, those in text tables repaired."""
    return as_ids(rows["id"], rows.path) if rows.path.suffix.lower() == ENDING else rows.ids("id").ids


def _check_ids(interactions: TableRows) -> None:
    """Refuse interactions without a user or item, and name the line of the first one."""
    for name in ("userID", "itemID"):
        if interactions[name].null_count():
            interactions.ids(name, f"interactions without {name}")


def _cleaning_report(
    counted: CleaningReport, interactions: TableCleaningReport, table: _Items, n_items: int
) -> CleaningReport:
    indices = set(map(str, range(n_items))) if table.titles or table.images else set()
    unused = len(set(table.images).difference(indices))
    images = (
        TableCleaningReport(f"{next(iter(table.images.values())).parent.name}/", unused_rows=unused) if unused else None
    )
    titled = sum(index in table.titles for index in indices)
    imaged = sum(index in table.images for index in indices)
    return replace(
        counted,
        items_without_title=n_items - titled if titled else 0,
        items_without_image=n_items - imaged if imaged else 0,
        tables=tuple(
            report for report in (interactions, table.cleaning_report, images) if report and any(report.sentences())
        ),
    )


def _unique(indices: pl.Series, path: Path) -> pl.Series:
    repeated = int(indices.is_duplicated().sum())
    if repeated:
        raise ValueError(f"{path} has {repeated} rows that share their {clipped(indices.name)}; keep one row per index")
    return indices


def _image_folder(folder: Path) -> dict[str, Path]:
    """Return images that are named by item index."""
    directory = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    if directory is None:
        return {}
    # Folders of images are large: the paths are taken from iterdir, and sorted by their names alone.
    named = {path.name: path for path in directory.iterdir()}
    stems = ((name, *os.path.splitext(name)) for name in sorted(named) if not name.startswith("."))
    return {stem: named[name] for name, stem, suffix in stems if suffix.lower() in IMAGE_SUFFIXES}


def _features(values: Shaped[ndarray, "..."], n_items: int, path: Path) -> Features:
    present = read_mask(path, values.shape)
    if present is None:
        return Features.from_array(values, n_items, str(path))
    blanked = values.copy()
    blanked[~present] = 0
    return Features(Features.from_array(blanked, n_items, str(path)).values, present)


def _with_metadata(dataset: Dataset, table: _Items) -> Dataset:
    indices = list(map(str, range(dataset.n_items))) if table.titles or table.images else []
    titles = tuple(table.titles.get(index, item) for index, item in zip(indices, dataset.items, strict=False))
    images = tuple(map(table.images.get, indices))
    columns = None
    if table.columns is not None and table.indices is not None:
        columns = align_item_columns(
            table.indices.tolist(), table.columns, range(dataset.n_items), "the table of items"
        )
    return replace(
        dataset,
        titles=titles if table.titles else None,
        images=images if any(images) else None,
        item_columns=columns,
    )
