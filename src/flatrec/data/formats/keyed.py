"""Feature files whose rows are told apart by item id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped
from numpy import ndarray

from flatrec.data.assembly import KeyedRows
from flatrec.data.formats.arrays import read_array, read_mask, read_tensors
from flatrec.data.formats.files import (
    as_text,
    columns_of,
    reading,
    scan,
    select,
)

ITEM_NAMES = (
    "item", "item_id", "itemid", "iid", "product", "product_id", "productid", "sku", "asin",
    "article", "article_id", "movie", "movie_id", "movieid", "track_id", "id",
)  # fmt: skip
MATRIX_KEY = "values"


@dataclass(frozen=True)
class FeatureSource:
    """Where the features of one modality are.

    Args:
        file: ``.npy`` or ``.safetensors`` with a matrix (under the key ``values``) whose row order ``ids``
            gives, without the rows that a ``MODALITY_mask.npy`` beside a ``MODALITY_feat.npy`` has False for;
            ``.safetensors`` with one vector an item id; or ``.parquet``, ``.csv`` or ``.tsv`` with a
            column of item ids and one column of lists or any number of numeric columns.
        ids: text file with one id a line (``.txt``), or a table whose id column is in row order.
        id_column: the column of ids in ``file`` or ``ids``; guessed from ITEM_NAMES if left out.
    """

    file: Path
    ids: Path | None = None
    id_column: str | None = None


def read_features(source: FeatureSource) -> KeyedRows:
    """The rows of one modality with their item ids.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is malformed, or nothing says which row is which item's.
    """
    suffix = source.file.suffix.lower()
    if suffix in (".parquet", ".csv", ".tsv"):
        return _from_table(source)
    if suffix == ".npy":
        return _with_ids(source, read_array(source.file))
    if suffix == ".safetensors":
        return _from_tensors(source)
    raise ValueError(f"{source.file} is no feature file; use .npy, .safetensors, .parquet, .csv or .tsv")


def row_ids(path: Path, id_column: str | None) -> list[str]:
    """Item ids in the order of the rows: the lines of a ``.txt``, or a column of a table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, no such column, or an id is missing.
    """
    if path.suffix.lower() == ".txt":
        with reading(path, "UTF-8 text with an item id a line"):
            return path.read_text(encoding="utf-8-sig").splitlines()
    frame = scan(path)
    column = id_column or guess(columns_of(frame, path), ITEM_NAMES, path, "item")
    return _text_ids(select(frame, path, {column: column})[column], path)


def guess(columns: Sequence[str], names: Sequence[str], path: Path, what: str) -> str:
    """The column that bears the first of the usual names, in any case.

    Raises:
        ValueError: no column bears one.
    """
    spelled = {column.lower(): column for column in reversed(columns)}
    for name in names:
        if name in spelled:
            return spelled[name]
    raise ValueError(
        f"{path} has no column that is called like {what} ids ({', '.join(names)}); its columns are "
        f"{list(columns)}: name the right one in a dataset.toml"
    )


def _from_table(source: FeatureSource) -> KeyedRows:
    path = source.file
    frame = scan(path)
    columns = columns_of(frame, path)
    id_column = source.id_column or guess(columns, ITEM_NAMES, path, "item")
    table = select(frame, path, {name: name for name in dict.fromkeys((id_column, *columns))})
    values = [column for column in columns if column != id_column]
    with reading(path, "a table with numeric columns, or one column of equally long lists, beside its ids"):
        if len(values) == 1 and table.schema[values[0]].is_nested():
            table = table.filter(pl.col(values[0]).is_not_null())
            rows = _stacked(table[values[0]])
        else:
            rows = table.select(pl.col(values).cast(pl.Float32)).to_numpy()
    return KeyedRows(_text_ids(table[id_column], path), rows, path.name)


def _stacked(lists: pl.Series) -> Float32[ndarray, "n_rows width"]:
    lists = lists.cast(pl.List(pl.Float32))
    widths = lists.list.len().unique().to_list()
    if len(widths) != 1 or widths[0] == 0:
        raise ValueError(f"its lists have the lengths {widths[:5]}")
    return lists.explode().to_numpy().reshape(len(lists), widths[0])


def _from_tensors(source: FeatureSource) -> KeyedRows:
    tensors = read_tensors(source.file)
    if set(tensors) == {MATRIX_KEY} and tensors[MATRIX_KEY].ndim == 2:
        return _with_ids(source, tensors[MATRIX_KEY])
    shapes = {tensor.shape for tensor in tensors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            f"{source.file} must hold one matrix under the key {MATRIX_KEY!r}, or one vector an item id, "
            f"all of one length, but holds {len(tensors)} tensors of shapes {sorted(shapes)[:3]}"
        )
    return KeyedRows(list(tensors), np.stack(list(tensors.values())), source.file.name)


def _with_ids(source: FeatureSource, values: Shaped[ndarray, "..."]) -> KeyedRows:
    if source.ids is None:
        raise ValueError(f"{source.file} has rows without ids; name a file of item ids in row order (ids = ...) for it")
    rows = KeyedRows(row_ids(source.ids, source.id_column), values, source.file.name)
    present = read_mask(source.file, values.shape)
    if present is None:
        return rows
    return KeyedRows([rows.ids[row] for row in np.flatnonzero(present).tolist()], values[present], rows.source)


def _text_ids(column: pl.Series, path: Path) -> list[str]:
    ids = as_text(column, path)
    if ids.null_count():
        raise ValueError(f"{path} has {ids.null_count()} of {len(ids)} rows without an item id; fill them in")
    return ids.to_list()
