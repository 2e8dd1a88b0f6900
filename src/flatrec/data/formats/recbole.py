"""Folders of RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flatrec.data.assembly import ItemTexts, KeyedRows, SplitSettings, assemble
from flatrec.data.dataset import Dataset
from flatrec.data.formats.arrays import read_array
from flatrec.data.formats.files import as_text, columns_of, dictionary, only, scan, select
from flatrec.data.formats.keyed import FeatureSource, read_features
from flatrec.data.interactions import PARTS

TITLE_NAMES = ("title", "name")


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
    name, pairs = _pairs(directory)
    items = directory / f"{name}.item"
    return assemble(
        name, pairs, settings=settings, features=_features(directory, items), texts=ItemTexts(_titles(items))
    )


def _pairs(directory: Path) -> tuple[str, pl.DataFrame]:
    trains = sorted(directory.glob("*.train.inter"))
    if not trains:
        path = only(sorted(directory.glob("*.inter")), directory, "*.inter")
        return path.stem, _table(path, {"user": "user_id", "item": "item_id"})
    name = only(trains, directory, "*.train.inter").name.removesuffix(".train.inter")
    tables = [
        _table(directory / f"{name}.{part}.inter", {"user": "user_id", "item": "item_id"}).with_columns(
            pl.lit(number, pl.Int8).alias("part")
        )
        for number, part in enumerate(PARTS)
    ]
    return name, pl.concat(tables)


def _table(path: Path, columns: dict[str, str]) -> pl.DataFrame:
    """Columns of an atomic file by the names before their colons."""
    frame = scan(path, separator="\t", quote=None)
    typed = {column.split(":")[0]: column for column in columns_of(frame, path)}
    return select(frame, path, {name: typed.get(column, column) for name, column in columns.items()})


def _titles(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    names = [column.split(":")[0] for column in columns_of(scan(path, separator="\t", quote=None), path)]
    column = next((name for name in names if name.lower().endswith(TITLE_NAMES)), None)
    if column is None:
        return {}
    table = _table(path, {"id": "item_id", "title": column})
    return dictionary(as_text(table["id"], path), as_text(table["title"], path), path)


def _features(directory: Path, items: Path) -> dict[str, KeyedRows]:
    features = {
        path.name.removesuffix("_feat.parquet"): read_features(FeatureSource(path, id_column="item_id"))
        for path in sorted(directory.glob("?*_feat.parquet"))
    }
    arrays = sorted(directory.glob("?*_feat.npy"))
    if arrays and not items.is_file():
        raise ValueError(f"{arrays[0]} needs {items.name}, whose rows say which item each of its rows is")
    for path in arrays:
        ids = _table(items, {"id": "item_id"})["id"].to_list()
        modality = path.name.removesuffix("_feat.npy")
        if modality in features:
            raise ValueError(f"{directory} has {modality}_feat.parquet and {path.name}; keep one of them")
        features[modality] = KeyedRows(ids, read_array(path), path.name)
    return features
