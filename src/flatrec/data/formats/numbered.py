"""What MMRec and MRLib folders share: items numbered by ``itemID``, one feature row a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int, Shaped
from numpy import ndarray

from flatrec.data.builder import IndexedInteractions, build_indexed_dataset
from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features, checked
from flatrec.data.formats.arrays import read_array, read_mask
from flatrec.data.formats.columns import as_ids, as_numbers, as_parts, dictionary
from flatrec.data.formats.files import Rows, existing_images, scan, visible
from flatrec.data.formats.parquet import ENDING
from flatrec.utils.messages import clipped

FEATURE_SUFFIXES = (".npy", ".pt")
ITEM_TABLES = ("items.parquet", "items.csv")
USER_TABLE = "users.parquet"
IMAGE_FOLDERS = ("posters", "images")
MOST_GAPS = 10  # numbers an item at the most, where nothing else bounds them
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class _Items:
    """What the items table says, by item number as text; ``size`` is the highest number plus one."""

    size: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    repairs: TableCleaningReport | None = None


def read_numbered(name: str, pairs: Rows) -> Dataset:
    """A data set from numbered pairs and what lies beside them in their folder.

    Users are numbered by sorted ``userID`` (of the pairs and of ``users.parquet``, if there is one), items
    by ``itemID`` itself. There are as many items as feature rows; without features, as the highest
    ``itemID`` of the pairs and the items table says. Nothing is filtered, for feature rows go by number;
    pairs without a split are split 8:1:1 with seed 0.

    Args:
        name: how reports call it.
        pairs: columns ``userID``, ``itemID`` and optionally ``x_label``, as read from the file.

    Raises:
        FileNotFoundError: an image listed in the items table does not exist.
        ValueError: a number is negative or not whole, an item has no feature row, or features do not fit.
    """
    path, folder = pairs.path, pairs.path.parent
    _check_given(pairs)
    users, user_ids = _users(as_numbers(pairs["userID"], path).to_numpy(), folder)
    items = as_numbers(pairs["itemID"], path).to_numpy()
    parts = as_parts(pairs["x_label"], path).to_numpy() if "x_label" in pairs else None
    table = _items(folder)
    files = feature_files(folder)
    arrays = {modality: read_array(file) for modality, file in files.items()}
    size = max(table.size, int(items.max()) + 1)
    n_items = next((len(array) for array in arrays.values() if array.ndim), size)
    if size > n_items:
        raise ValueError(
            f"{folder} has items up to number {size - 1}, but {next(iter(files.values())).name} has "
            f"{n_items} rows (numbers 0 to {n_items - 1}); give it one row an item"
        )
    distinct = len(np.unique(items))
    if not arrays and n_items > MOST_GAPS * (distinct + len(table.ids) + len(table.titles) + 1_000):
        raise ValueError(
            f"{folder} has {distinct} items numbered up to {size - 1}; number items from 0 without large gaps, "
            "or read the pairs as a plain table, where ids may be anything"
        )
    item_ids = [table.ids.get(number, number) for number in map(str, range(n_items))]
    dataset = build_indexed_dataset(name, IndexedInteractions(users, items, parts, user_ids, item_ids))
    dataset = replace(dataset, repairs=_repairs(dataset.repairs, pairs.repairs(), table, n_items))
    features = {key: _features(array, n_items, files[key]) for key, array in arrays.items()}
    return _with_texts(dataset.with_features(features), table)


def feature_files(folder: Path) -> dict[str, Path]:
    """The feature file of every modality: ``MODALITY_feat.npy`` or ``MODALITY_feat.pt``.

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


def _users(numbers: Int[ndarray, "n_pairs"], folder: Path) -> tuple[Int[ndarray, "n_pairs"], list[str]]:
    """The numbers without gaps, and the original id of every user."""
    path = folder / USER_TABLE
    known: dict[str, str] = {}
    listed = np.zeros(0, dtype=np.int64)
    if path.is_file():
        rows = scan(path).select({"userID": "userID", "id": "id"})
        column = as_numbers(rows["userID"], path)
        listed = _unique(column, path).to_numpy()
        known = dictionary(column.cast(pl.String), _names(rows), path)
    distinct = np.union1d(numbers, listed)
    return np.searchsorted(distinct, numbers), [known.get(name, name) for name in map(str, distinct.tolist())]


def _items(folder: Path) -> _Items:
    path = next((folder / name for name in ITEM_TABLES if (folder / name).is_file()), None)
    if path is None:
        return _Items(images=_image_folder(folder))
    table = scan(path, wanted=[("itemID",)])
    optional = [name for name in ("id", "title", "image") if name in table.columns]
    rows = table.select({name: name for name in ("itemID", *optional)})
    column = _unique(as_numbers(rows["itemID"], path), path)
    numbers = column.cast(pl.String)
    columns = {name: _names(rows) if name == "id" else rows.texts(name) for name in optional}
    texts = {name: dictionary(numbers, values, path) for name, values in columns.items()}
    images = existing_images(texts["image"], path) if "image" in optional else _image_folder(folder)
    size = int(column.to_numpy().max()) + 1
    return _Items(size, texts.get("id", {}), texts.get("title", {}), images, rows.repairs())


def _names(rows: Rows) -> pl.Series:
    """Original ids. Those in Parquet are as flatrec wrote them; text tables are other people's."""
    return as_ids(rows["id"], rows.path) if rows.path.suffix.lower() == ENDING else rows.ids("id").ids


def _check_given(pairs: Rows) -> None:
    """Refuse pairs of which one number is missing, by their line."""
    for name in ("userID", "itemID"):
        if pairs[name].null_count():
            pairs.ids(name, f"pairs without {name}")


def _repairs(counted: CleaningReport, pairs: TableCleaningReport, table: _Items, n_items: int) -> CleaningReport:
    numbers = set(map(str, range(n_items)))
    unused = len(set(table.images).difference(numbers))
    images = (
        TableCleaningReport(f"{next(iter(table.images.values())).parent.name}/", unused_rows=unused) if unused else None
    )
    titled = sum(number in table.titles for number in numbers)
    imaged = sum(number in table.images for number in numbers)
    return replace(
        counted,
        untitled=n_items - titled if titled else 0,
        unimaged=n_items - imaged if imaged else 0,
        tables=tuple(one for one in (pairs, table.repairs, images) if one is not None and any(one.sentences())),
    )


def _unique(numbers: pl.Series, path: Path) -> pl.Series:
    repeated = int(numbers.is_duplicated().sum())
    if repeated:
        raise ValueError(f"{path} has {repeated} rows that share their {clipped(numbers.name)}; keep one row a number")
    return numbers


def _image_folder(folder: Path) -> dict[str, Path]:
    """Images that are named by their item number."""
    place = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    if place is None:
        return {}
    return {path.stem: path for path in visible(place, "*") if path.suffix.lower() in IMAGE_SUFFIXES}


def _features(values: Shaped[ndarray, "..."], n_items: int, path: Path) -> Features:
    present = read_mask(path, values.shape)
    if present is None:
        return checked(values, n_items, str(path))
    blanked = values.copy()
    blanked[~present] = 0
    return Features(checked(blanked, n_items, str(path)).values, present)


def _with_texts(dataset: Dataset, table: _Items) -> Dataset:
    numbers = list(map(str, range(dataset.n_items)))
    titles = tuple(table.titles.get(number, dataset.items[int(number)]) for number in numbers)
    images = tuple(map(table.images.get, numbers))
    return replace(
        dataset,
        titles=titles if table.titles else None,
        images=images if any(images) else None,
    )
