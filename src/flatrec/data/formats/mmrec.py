"""Folders in the format of MMRec, which is also the format that flatrec writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.preparation import with_preparation
from flatrec.data.tables.arrays import mask_file
from flatrec.data.tables.augmentation_files import PREFIX, augmentation_writers
from flatrec.data.tables.files import scan, single_file, visible
from flatrec.data.tables.indexed import GROUP_TABLE, ITEM_TABLES, USER_TABLE, feature_files, read_indexed
from flatrec.data.tables.text import Layout
from flatrec.utils.atomic_write import atomic_write, sweep
from flatrec.utils.integrity import MANIFEST, write_manifest
from flatrec.utils.messages import shortlist
from flatrec.utils.relative_path import relative_path

Writer = Callable[[IO[bytes]], object]
TABS = Layout("\t", "")
OPTIONAL = ("timestamp", "weight", "x_label")


def read(directory: Path) -> Dataset:
    """Read the data set of a folder in the MMRec format.

    ``NAME.inter`` is tab-separated with a header; ``userID``, ``itemID``, ``timestamp``, ``weight`` and ``x_label``
    (0 train, 1 valid, 2 test) are read, other columns ignored. Features are ``MODALITY_feat.npy`` (or ``.pt``), whose
    row index is the ``itemID``. flatrec adds the optional ``MODALITY_mask.npy`` (False for an item without the
    modality), ``items.parquet`` or ``items.csv`` (``itemID``, any of ``id``, ``title`` and ``image``, and
    further columns of numbers, texts, dates or truth values), ``users.parquet`` (``userID``, ``id``) and
    ``groups.parquet`` (``groupID``, ``memberID``: users that are groups, and their members). If there is no
    ``image`` column, files ``ITEMID.jpg`` or ``.png`` in ``posters/`` or ``images/`` are used. What preparation removed
    is counted in ``prepare.json``. Indices are those of :func:`flatrec.data.tables.indexed.read_indexed`.

    Raises:
        FileNotFoundError: no folder, no ``.inter`` file, or a listed image does not exist.
        ValueError: a file is malformed or does not fit the others.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder; expected one with a file NAME.inter")
    path = single_file(visible(directory, "*.inter"), directory, "*.inter")
    table = scan(path, TABS)
    optional = [name for name in OPTIONAL if name in table.columns]
    dataset = read_indexed(path.stem, table.select({name: name for name in ("userID", "itemID", *optional)}))
    return replace(dataset, cleaning_report=with_preparation(dataset.cleaning_report, directory))


def write(
    dataset: Dataset, directory: Path, extra_files: Mapping[str, Writer] | None = None, *, manifest: bool = False
) -> None:
    """Write a data set so that :func:`flatrec.data.loading.load_data` returns it with the same fingerprint.

    Each file is replaced as a whole or not at all. Items without a modality get the mean of the others, for readers
    that do not know the masks. Images are not copied: their paths are written relative to the folder.

    Args:
        dataset: the data set; its name becomes the name of the ``.inter`` file.
        directory: the folder, created if it does not exist; files of the same names are replaced.
        extra_files: writers of further files by name; they also replace the default writer of a file.
        manifest: whether to list the digests of all files in a manifest, which is written last, for a folder that
            nobody should edit. After a kill, a new folder has no manifest and is not checked; a folder that was being
            overwritten is refused until it is completely written.

    Raises:
        ValueError: the name of the data set or of a modality cannot be used in a file name, the data have repeats,
            which the format cannot hold, or the folder holds other data that would be read together with the new data.
    """
    if dataset.interactions.repeats:
        raise ValueError(
            f"{dataset.name} has users with the same item in two splits, which {directory} cannot hold; set repeat = "
            "false, or keep the source"
        )
    attributes = dataset.augmentation.attributes if dataset.augmentation else {}
    for name in (dataset.name, *dataset.features, *attributes):
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"{name!r} cannot be used in a file name; rename the data set, modality or attribute")
    directory.mkdir(parents=True, exist_ok=True)
    files = _writers(dataset, directory) | dict(extra_files or {})
    _check_foreign(directory, files)
    sweep(directory)
    if not manifest:
        (directory / MANIFEST).unlink(missing_ok=True)  # otherwise it stays: after a kill it reveals old files
    interactions = f"{dataset.name}.inter"  # written last: a folder without it is not a data set yet
    for name in (*(name for name in files if name != interactions), interactions):
        with atomic_write(directory / name) as temporary, temporary.open("wb") as file:
            files[name](file)
    for path in (*(mask_file(directory, modality) for modality in dataset.features), *visible(directory, f"{PREFIX}*")):
        if path.name not in files:
            path.unlink(missing_ok=True)
    if manifest:
        write_manifest(directory, files)


def _writers(dataset: Dataset, directory: Path) -> dict[str, Writer]:
    writers: dict[str, Writer] = augmentation_writers(dataset)
    for modality, features in dataset.features.items():
        writers[f"{modality}_feat.npy"] = _array_writer(features.impute())
        if not features.present.all():
            writers[mask_file(directory, modality).name] = _array_writer(features.present)
    users = pl.DataFrame({"userID": range(dataset.n_users), "id": list(dataset.users)})
    writers[USER_TABLE] = users.write_parquet
    if dataset.groups is not None:
        memberships = pl.DataFrame({"groupID": dataset.groups.groups, "memberID": dataset.groups.persons})
        writers[GROUP_TABLE] = memberships.write_parquet
    writers[ITEM_TABLES[0]] = _items(dataset, directory).write_parquet
    interactions = dataset.interactions
    columns = {
        "userID": interactions.users,
        "itemID": interactions.items,
        "timestamp": interactions.timestamps,
        "weight": interactions.weights,
        "x_label": interactions.splits,
    }
    table = pl.DataFrame({name: column for name, column in columns.items() if column is not None})
    writers[f"{dataset.name}.inter"] = partial(table.write_csv, separator="\t")
    return writers


def _items(dataset: Dataset, directory: Path) -> pl.DataFrame:
    columns: dict[str, list[int] | list[str] | list[str | None]] = {
        "itemID": list(range(dataset.n_items)),
        "id": list(dataset.items),
    }
    if dataset.titles is not None:
        columns["title"] = list(dataset.titles)
    if dataset.images is not None:
        columns["image"] = [None if path is None else relative_path(path, directory) for path in dataset.images]
    schema = {name: pl.Int64 if name == "itemID" else pl.String for name in columns}
    table = pl.DataFrame(columns, schema=schema)
    return table if dataset.item_columns is None else table.hstack(dataset.item_columns)


def _array_writer(array: ndarray) -> Writer:
    return lambda file: np.save(file, array, allow_pickle=False)


def _check_foreign(directory: Path, files: Mapping[str, Writer]) -> None:
    present = {path.name for path in (*visible(directory, "*.inter"), *feature_files(directory).values())}
    foreign = sorted(present.difference(files))
    if foreign:
        raise ValueError(
            f"{directory} already holds {shortlist(foreign)}, "
            "which would be read together with the new data; write to another folder"
        )


def matches(path: Path) -> bool:
    """Return True for a folder with ``.inter`` files; those with typed headers are RecBole's, which is asked before."""
    return path.is_dir() and bool(visible(path, "*.inter"))


FORMAT = DataFormat("mmrec", "*.inter", matches, read, order=20)
