"""Folders of RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flatrec.data.builder import IndexedFeatures, ItemMetadata, build_dataset
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.interactions import SPLITS
from flatrec.data.tables.arrays import read_array
from flatrec.data.tables.columns import is_missing, to_dict
from flatrec.data.tables.events import Events, RowSettings, read_events
from flatrec.data.tables.feature_files import FeatureSource, read_features
from flatrec.data.tables.files import TableRows, scan, single_file, visible
from flatrec.data.tables.text import PLAIN, Layout, open_text

TITLE_NAMES = ("title", "name")
ATOMIC = Layout("\t", "")


def read(directory: Path) -> Dataset:
    """Read the data set of a folder of atomic files: tab-separated, with headers of the form ``name:type``.

    ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter`` are read as they are, and take precedence over
    ``NAME.inter``, which is split at random. ``timestamp`` is read. Every row is an interaction: ratings are not
    thresholded. ``NAME.item`` gives titles, if it has a column whose name ends in ``title`` or ``name``, e.g.
    ``movie_title``. RecBole has no files for features; flatrec reads ``MODALITY_feat.parquet`` with a column
    ``item_id``, and ``MODALITY_feat.npy`` with the rows of ``NAME.item``.

    Raises:
        FileNotFoundError: no folder or no ``.inter`` file, or the file of a split is missing.
        ValueError: a file is malformed or does not fit the others.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder; expected one with a file NAME.inter")
    name, interactions, cleaning_report = _interactions(directory)
    items = directory / f"{name}.item"
    return build_dataset(
        name,
        interactions,
        features=_features(directory, items),
        metadata=_titles(items),
        cleaning_report=cleaning_report,
    )


def _interactions(directory: Path) -> tuple[str, pl.DataFrame, TableCleaningReport]:
    trains = visible(directory, "*.train.inter")
    if not trains:
        path = single_file(visible(directory, "*.inter"), directory, "*.inter")
        events = _events(path)
        return path.stem, events.frame, events.cleaning_report
    name = single_file(trains, directory, "*.train.inter").name.removesuffix(".train.inter")
    files = [_events(directory / f"{name}.{split}.inter") for split in SPLITS]
    if len({file.frame.width for file in files}) != 1:
        raise ValueError(f"{directory} has a timestamp in some of its files {name}.*.inter; give it to all or to none")
    interactions = [file.frame.with_columns(pl.lit(index, pl.Int8).alias("split")) for index, file in enumerate(files)]
    report = TableCleaningReport.total(f"{name}.*.inter", [file.cleaning_report for file in files])
    return name, pl.concat(interactions), report


def _events(path: Path) -> Events:
    """Read a file of interactions; ratings are no weights, and ``timestamp`` is read if there is one."""
    columns = {"user": "user_id", "item": "item_id", "timestamp": "timestamp"}
    if "timestamp" not in _names(path):
        del columns["timestamp"]
    return read_events(_table(path, columns), RowSettings())


def _names(path: Path) -> list[str]:
    """Return the names of the columns of an atomic file without the types."""
    return [column.split(":")[0] for column in scan(path, ATOMIC).columns]


def _table(path: Path, columns: dict[str, str]) -> TableRows:
    """Return columns of an atomic file by their names without the types."""
    table = scan(path, ATOMIC)
    typed = {column.split(":")[0]: column for column in table.columns}
    return table.select({name: typed.get(column, column) for name, column in columns.items()})


def _titles(path: Path) -> ItemMetadata:
    if not path.is_file():
        return ItemMetadata()
    column = next((name for name in _names(path) if name.lower().endswith(TITLE_NAMES)), None)
    if column is None:
        return ItemMetadata()
    rows = _table(path, {"id": "item_id", "title": column})
    ids = rows.ids("id")
    missing = is_missing(ids.ids)
    return ItemMetadata(
        to_dict(ids.ids, rows.texts("title"), path),
        ids=tuple(ids.ids.filter(~missing).to_list()),
        cleaning_report=rows.cleaning_report(ids, without_id=int(missing.sum())),
        source=str(path),
    )


def _features(directory: Path, items: Path) -> dict[str, IndexedFeatures]:
    features = {
        path.name.removesuffix("_feat.parquet"): read_features(FeatureSource(path, id_column="item_id"))
        for path in visible(directory, "?*_feat.parquet")
    }
    arrays = visible(directory, "?*_feat.npy")
    if arrays and not items.is_file():
        raise ValueError(f"{arrays[0]} needs {items.name}, which says to which item each row belongs; add that file")
    for path in arrays:
        ids = _table(items, {"id": "item_id"}).ids("id", "rows without an item id").ids.to_list()
        modality = path.name.removesuffix("_feat.npy")
        if modality in features:
            raise ValueError(f"{directory} has {modality}_feat.parquet and {path.name}; keep one of them")
        features[modality] = IndexedFeatures(ids, read_array(path), str(path))
    return features


def matches(path: Path) -> bool:
    """Return True for a folder whose ``.inter`` files have types in their headers, such as ``user_id:token``."""
    files = visible(path, "*.inter") if path.is_dir() else []
    return bool(files) and ":" in open_text(files[0], PLAIN).header


FORMAT = DataFormat("recbole", "*.inter with typed columns", matches, read, order=10)
