"""A data set from frames: the same readers as for files, which get a frame where a ``dataset.toml`` names a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Shaped
from numpy import ndarray
from torch import Tensor

from flatrec.config.split import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats.table import ItemSource, TableSettings, guess_settings, read_tables
from flatrec.data.frames.tables import Frame, as_table
from flatrec.data.id_repair import IdMatching
from flatrec.data.tables.arrays import to_numpy
from flatrec.data.tables.feature_files import FeatureArray, FeatureSource
from flatrec.data.tables.files import NO_FILE, Table
from flatrec.data.tables.groups import GroupSource
from flatrec.data.tables.malformed import reading
from flatrec.data.tables.objects import object_series
from flatrec.data.tables.text import Layout

Array: TypeAlias = Shaped[ndarray, "..."] | Shaped[Tensor, "..."] | Path | str  # a path is that of a ``.npy`` file
Ids: TypeAlias = Collection[object]  # a list, an array, a tensor, or a column or index of a frame
FeatureInput: TypeAlias = Frame | Array | tuple[Ids, Array] | FeatureSource


def read_frames(
    interactions: Frame,
    items: Frame | None,
    features: Mapping[str, FeatureInput],
    groups: tuple[Frame, Frame] | None = None,
    *,
    columns: TableSettings | None,
    split: SplitSettings | None,
    name: str,
) -> Dataset:
    """Build a data set from frames; see :meth:`flatrec.data.dataset.Dataset.from_frames`.

    Raises:
        TypeError: something is neither a frame nor an array.
        ValueError: a column is missing or malformed, or the frames do not fit one another.
        FileNotFoundError: a file that is named does not exist.
    """
    table = as_table(interactions, "interactions")
    settings = guess_settings(table) if columns is None else _with_table(columns, table)
    source = _items(items, settings.items)
    named = dict(settings.features)
    for modality, given in features.items():
        named[modality] = _features(given, modality, named.get(modality), source)
    matching = settings.rows.id_matching  # one for all tables, as in a description
    lacking = next((modality for modality, given in named.items() if given.file == NO_FILE), None)
    if lacking is not None:
        raise ValueError(
            f"columns.features names {lacking!r} without a file; give features = {{{lacking!r}: a frame or an array}}"
        )
    return read_tables(
        replace(
            settings,
            items=None if source is None else replace(source, id_matching=matching),
            features={modality: replace(given, id_matching=matching) for modality, given in named.items()},
            groups=_groups(groups, settings.groups, matching),
            split=settings.split if split is None else split.over(settings.split),
            name=settings.name or name,
        )
    )


def _with_table(columns: TableSettings, table: Table) -> TableSettings:
    _check_no_file(columns.interactions, "interactions")
    if columns.layout != Layout(decimal=columns.layout.decimal):
        raise ValueError("columns.layout says how a text file is written; a frame has no part of it but decimal")
    return replace(columns, interactions=table)


def _items(items: Frame | None, columns: ItemSource | None) -> ItemSource | None:
    if items is None:
        if columns is not None and columns.file == NO_FILE:
            raise ValueError("columns.items names columns of a frame of items, but there is none; give items = a frame")
        return columns
    if columns is not None:
        _check_no_file(columns.file, "items")
    table = as_table(items, "items")
    if columns is not None:
        return replace(columns, file=table)
    title, image = (name if name in table.columns else None for name in ("title", "image"))
    return ItemSource(table, title_column=title, image_column=image)


def _groups(
    groups: tuple[Frame, Frame] | None, columns: GroupSource | None, id_matching: IdMatching
) -> GroupSource | None:
    if groups is None:
        if columns is not None and NO_FILE in (columns.members, columns.interactions):
            raise ValueError(
                "columns.groups names columns of frames of groups, but there are none; give groups = (members, "
                "interactions)"
            )
        return columns
    if not isinstance(groups, tuple) or len(groups) != 2:
        raise ValueError(f"groups must be the two frames of (members, interactions), but is a {type(groups).__name__}")
    columns = columns or GroupSource()
    for file, what in ((columns.members, "members of groups"), (columns.interactions, "interactions of groups")):
        _check_no_file(file, what)
    if columns.layout != Layout(decimal=columns.layout.decimal):
        raise ValueError("columns.groups.layout says how a text file is written; a frame has no part of it but decimal")
    members, interactions = as_table(groups[0], "members of groups"), as_table(groups[1], "interactions of groups")
    return replace(columns, members=members, interactions=interactions, id_matching=id_matching)


def _check_no_file(file: Path | Table, what: str) -> None:
    if file != NO_FILE:
        raise ValueError(f"columns names the file {file} for {what}, which are a frame; leave one of the two out")


def _features(
    given: FeatureInput, modality: str, columns: FeatureSource | None, items: ItemSource | None
) -> FeatureSource:
    """Return the features of a modality; an array without ids has its rows in the order of the table of items."""
    if isinstance(given, FeatureSource):
        return given
    columns = columns or FeatureSource()
    if isinstance(given, tuple):
        ids, values = _pair(given, modality)
        return replace(columns, file=_array(values, modality), ids=_ids(ids, modality), id_column="id")
    if not isinstance(given, (ndarray, Tensor, str, Path)):
        return replace(columns, file=as_table(given, f"{modality} features"))
    file = _array(given, modality)
    if columns.ids is not None:
        return replace(columns, file=file)
    if items is not None:
        return replace(columns, file=file, ids=items.file, id_column=columns.id_column or items.id_column)
    if isinstance(file, FeatureArray) or file.suffix == ".npy":
        name = file if isinstance(file, Path) else file.path
        raise ValueError(
            f"{name} has rows without ids; give features = {{{modality!r}: (ids, array)}}, or a frame of items in the "
            "order of its rows"
        )
    return replace(columns, file=file)


def _pair(given: tuple[object, ...], modality: str) -> tuple[object, object]:
    if len(given) != 2:
        raise ValueError(
            f"features[{modality!r}] must be a frame, an array, or the two of (ids, array), but is a tuple of "
            f"{len(given)}"
        )
    return given[0], given[1]


def _array(values: object, modality: str) -> Path | FeatureArray:
    """Return an array under its name, or the path of a file."""
    path = Path(f"the array of {modality} features")
    if isinstance(values, (str, Path)):
        return Path(values)
    if isinstance(values, Tensor):
        return FeatureArray(path, to_numpy(values.detach().cpu()))
    if isinstance(values, ndarray):
        return FeatureArray(path, values)
    raise TypeError(
        f"{path} must be an array of NumPy, a tensor of torch or the path of a .npy file, but is of type "
        f"{type(values).__name__}; convert it with numpy.asarray"
    )


def _ids(ids: object, modality: str) -> Table:
    """Return item ids as the table of one column that a file of ids is."""
    path = Path(f"the ids of {modality} features")
    with reading(path, "one item id per row", in_memory=True):
        if isinstance(ids, Tensor):
            ids = ids.detach().cpu().numpy()
        if not isinstance(ids, pl.Series):
            array = np.asarray(ids) if isinstance(ids, ndarray) else np.asarray(ids, dtype=object)
            if array.ndim != 1:
                raise ValueError(f"they are of type {type(ids).__name__} with {array.ndim} dimensions")
            listed = [None if isinstance(value, float) and np.isnan(value) else value for value in array.tolist()]
            ids = pl.Series(array) if array.dtype.kind in "iuf" else object_series("id", listed)
        return Table(path, ids.rename("id").to_frame().lazy(), ["id"], in_memory=True)
