"""Folders of RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flatrec.data.builder import IndexedFeatures, ItemTexts, SplitSettings, build_dataset
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats.arrays import read_array
from flatrec.data.formats.columns import dictionary, missing_ids
from flatrec.data.formats.files import Rows, only, scan, visible
from flatrec.data.formats.keyed import FeatureSource, read_features
from flatrec.data.formats.text import Layout
from flatrec.data.interactions import SPLITS

TITLE_NAMES = ("title", "name")
ATOMIC = Layout("\t", "")


def read(directory: Path, settings: SplitSettings | None = None) -> Dataset:
    """The data set of a folder of atomic files, whose headers say ``name:type``, tab-separated.

    ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter`` are a given split, and go before
    ``NAME.inter``, which is filtered and split by ``settings``. Every row is an interaction: ratings are not
    thresholded. ``NAME.item`` gives titles, if it has a column ``title`` or ``name`` or one that ends so, e.g.
    ``movie_title``. RecBole has no files for features; ours are ``MODALITY_feat.parquet`` with a column
    ``item_id``, and ``MODALITY_feat.npy`` with the rows of ``NAME.item``.

    Args:
        directory: the folder.
        settings: filter and split for pairs without a given split.

    Raises:
        FileNotFoundError: no folder or no ``.inter`` file, or a file of the given split is missing.
        ValueError: a file is malformed or does not fit the others.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder; expected one with a file NAME.inter")
    name, pairs, repairs = _pairs(directory)
    items = directory / f"{name}.item"
    return build_dataset(
        name,
        pairs,
        settings=settings,
        features=_features(directory, items),
        texts=_titles(items),
        repairs=repairs,
    )


def _pairs(directory: Path) -> tuple[str, pl.DataFrame, TableCleaningReport]:
    trains = visible(directory, "*.train.inter")
    if not trains:
        path = only(visible(directory, "*.inter"), directory, "*.inter")
        return path.stem, *_ids(path)
    name = only(trains, directory, "*.train.inter").name.removesuffix(".train.inter")
    found = [_ids(directory / f"{name}.{part}.inter") for part in SPLITS]
    tables = [pairs.with_columns(pl.lit(number, pl.Int8).alias("part")) for number, (pairs, _) in enumerate(found)]
    return name, pl.concat(tables), TableCleaningReport.total(f"{name}.*.inter", [repairs for _, repairs in found])


def _ids(path: Path) -> tuple[pl.DataFrame, TableCleaningReport]:
    rows = _table(path, {"user": "user_id", "item": "item_id"})
    users, items = (rows.ids(name, f"pairs without {name} id") for name in ("user", "item"))
    return pl.DataFrame([users.ids.alias("user"), items.ids.alias("item")]), rows.repairs(users, items)


def _table(path: Path, columns: dict[str, str]) -> Rows:
    """Columns of an atomic file by the names before their colons."""
    table = scan(path, ATOMIC)
    typed = {column.split(":")[0]: column for column in table.columns}
    return table.select({name: typed.get(column, column) for name, column in columns.items()})


def _titles(path: Path) -> ItemTexts:
    if not path.is_file():
        return ItemTexts()
    names = [column.split(":")[0] for column in scan(path, ATOMIC).columns]
    column = next((name for name in names if name.lower().endswith(TITLE_NAMES)), None)
    if column is None:
        return ItemTexts()
    rows = _table(path, {"id": "item_id", "title": column})
    ids = rows.ids("id")
    missing = missing_ids(ids.ids)
    return ItemTexts(
        dictionary(ids.ids, rows.texts("title"), path),
        ids=tuple(ids.ids.filter(~missing).to_list()),
        repairs=rows.repairs(ids, without_id=int(missing.sum())),
        source=str(path),
    )


def _features(directory: Path, items: Path) -> dict[str, IndexedFeatures]:
    features = {
        path.name.removesuffix("_feat.parquet"): read_features(FeatureSource(path, id_column="item_id"))
        for path in visible(directory, "?*_feat.parquet")
    }
    arrays = visible(directory, "?*_feat.npy")
    if arrays and not items.is_file():
        raise ValueError(f"{arrays[0]} needs {items.name}, whose rows say which item each of its rows is")
    for path in arrays:
        ids = _table(items, {"id": "item_id"}).ids("id", "rows without an item id").ids.to_list()
        modality = path.name.removesuffix("_feat.npy")
        if modality in features:
            raise ValueError(f"{directory} has {modality}_feat.parquet and {path.name}; keep one of them")
        features[modality] = IndexedFeatures(ids, read_array(path), str(path))
    return features
