"""Folders in the format of MMRec, which is also the format that flatrec writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.formats.arrays import mask_file
from flatrec.data.formats.files import only, scan, visible
from flatrec.data.formats.numbered import (
    ITEM_TABLES,
    USER_TABLE,
    feature_files,
    read_numbered,
)
from flatrec.data.formats.text import Layout
from flatrec.utils.atomic_write import atomic_write, sweep
from flatrec.utils.integrity import MANIFEST, write_manifest
from flatrec.utils.messages import shortlist

Writer = Callable[[IO[bytes]], object]
TABS = Layout("\t", "")


def read(directory: Path) -> Dataset:
    """The data set of a folder in the MMRec format.

    ``NAME.inter`` is tab-separated with a header; ``userID``, ``itemID`` and ``x_label`` (0 train, 1 valid,
    2 test) are read, other columns ignored. Features are ``MODALITY_feat.npy`` (or ``.pt``), row number =
    ``itemID``. Ours are the optional ``MODALITY_mask.npy`` (False where an item lacks the modality),
    ``items.parquet`` or ``items.csv`` (``itemID`` and any of ``id``, ``title``, ``image``) and
    ``users.parquet`` (``userID``, ``id``). Without a ``image`` column, files ``ITEMID.jpg`` or ``.png`` in
    ``posters/`` or ``images/`` are taken. Numbering is that of
    ``numbered.read_numbered``.

    Raises:
        FileNotFoundError: no folder, no ``.inter`` file, or a listed image does not exist.
        ValueError: a file is malformed or does not fit the others.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder; expected one with a file NAME.inter")
    path = only(visible(directory, "*.inter"), directory, "*.inter")
    table = scan(path, TABS)
    split = ["x_label"] if "x_label" in table.columns else []
    return read_numbered(path.stem, table.select({name: name for name in ("userID", "itemID", *split)}))


def write(
    dataset: Dataset, directory: Path, beside: Mapping[str, Writer] | None = None, *, manifest: bool = False
) -> None:
    """Write a data set so that `read` gives it back, with the same fingerprint.

    Each file is replaced as a whole or not at all. Items that lack a modality get the mean of the others, for readers
    that do not know our masks. Images stay where they are: their paths are written relative to the folder.

    Args:
        dataset: what to write; its name becomes the name of the ``.inter`` file.
        directory: a folder, made if it does not exist; files of the same names are replaced.
        beside: what fills further files by name, or some of these in another way.
        manifest: list the digests of all of them, last of all, for a folder that nobody is to edit. After a kill a new
            folder has none and is not judged; one that was written over is refused until it is written to its end.

    Raises:
        ValueError: the name of the data set or of a modality cannot be a file name, or the folder holds other
            data that reading would mix in.
    """
    for name in (dataset.name, *dataset.features):
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"{name!r} cannot be part of a file name; rename the data set or modality")
    directory.mkdir(parents=True, exist_ok=True)
    files = _writers(dataset, directory) | dict(beside or {})
    _check_foreign(directory, files)
    sweep(directory)
    if not manifest:
        (directory / MANIFEST).unlink(missing_ok=True)  # else it stays: after a kill it tells old files from new ones
    pairs = f"{dataset.name}.inter"  # last of all: a folder without them is not a data set yet
    for name in (*(name for name in files if name != pairs), pairs):
        with atomic_write(directory / name) as temporary, temporary.open("wb") as file:
            files[name](file)
    for modality in dataset.features:
        if mask_file(directory, modality).name not in files:
            mask_file(directory, modality).unlink(missing_ok=True)
    if manifest:
        write_manifest(directory, files)


def _writers(dataset: Dataset, directory: Path) -> dict[str, Writer]:
    """What fills each file."""
    writers: dict[str, Writer] = {}
    for modality, features in dataset.features.items():
        writers[f"{modality}_feat.npy"] = _array_writer(features.impute())
        if not features.present.all():
            writers[mask_file(directory, modality).name] = _array_writer(features.present)
    users = pl.DataFrame({"userID": range(dataset.n_users), "id": list(dataset.users)})
    writers[USER_TABLE] = users.write_parquet
    writers[ITEM_TABLES[0]] = _items(dataset, directory).write_parquet
    interactions = dataset.interactions
    pairs = pl.DataFrame({"userID": interactions.users, "itemID": interactions.items, "x_label": interactions.splits})
    writers[f"{dataset.name}.inter"] = partial(pairs.write_csv, separator="\t")
    return writers


def _items(dataset: Dataset, directory: Path) -> pl.DataFrame:
    columns: dict[str, list[int] | list[str] | list[str | None]] = {
        "itemID": list(range(dataset.n_items)),
        "id": list(dataset.items),
    }
    if dataset.titles is not None:
        columns["title"] = list(dataset.titles)
    if dataset.images is not None:
        start = directory.resolve()
        columns["image"] = [
            None if path is None else Path(os.path.relpath(path.resolve(), start)).as_posix() for path in dataset.images
        ]
    schema = {name: pl.Int64 if name == "itemID" else pl.String for name in columns}
    return pl.DataFrame(columns, schema=schema)


def _array_writer(array: ndarray) -> Writer:
    return lambda file: np.save(file, array, allow_pickle=False)


def _check_foreign(directory: Path, files: Mapping[str, Writer]) -> None:
    present = {path.name for path in (*visible(directory, "*.inter"), *feature_files(directory).values())}
    foreign = sorted(present.difference(files))
    if foreign:
        raise ValueError(
            f"{directory} already holds {shortlist(foreign)}, which reading would mix in; write to another folder"
        )
