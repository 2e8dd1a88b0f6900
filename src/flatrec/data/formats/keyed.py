"""Feature files whose rows are told apart by item id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped
from numpy import ndarray

from flatrec.data.builder import IndexedFeatures
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.formats.arrays import read_array, read_mask, read_tensors
from flatrec.data.formats.columns import in_words
from flatrec.data.formats.files import Rows, reading, scan
from flatrec.data.formats.parquet import is_parquet
from flatrec.data.formats.text import PLAIN, Layout, ending
from flatrec.data.id_repair import tidied, tidied_list
from flatrec.utils.messages import clipped, quoted

ITEM_NAMES = (
    "item", "item_id", "itemid", "iid", "product", "product_id", "productid", "sku", "asin",
    "article", "article_id", "movie", "movie_id", "movieid", "track_id", "id",
)  # fmt: skip
MATRIX_KEY = "values"
# What pandas writes along where nobody asked for it: a column without a name, or one that it gave a name to.
ROW_NUMBERS = re.compile(
    r"\s*|_duplicated_[0-9]+|Unnamed: [0-9]+(\.[0-9]+)*(_level_[0-9]+)?|__index_level_[0-9]+__|__null_dask_index__"
)
INDEX_NAMES = ("index", "level_0")  # what it calls them where they become a column; they may be features too


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
        layout: how ``file`` or ``ids`` is written, where it is a text table.
    """

    file: Path
    ids: Path | None = None
    id_column: str | None = None
    layout: Layout = PLAIN


def read_features(source: FeatureSource) -> IndexedFeatures:
    """The rows of one modality with their item ids.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is malformed, or nothing says which row is which item's.
    """
    suffix = ending(source.file)
    if is_parquet(source.file) or suffix in (".csv", ".tsv"):
        return _from_table(source)
    if suffix == ".npy":
        return _with_ids(source, read_array(source.file))
    if suffix == ".safetensors":
        return _from_tensors(source)
    raise ValueError(f"{source.file} is no feature file; use .npy, .safetensors, .parquet, .csv or .tsv")


def row_ids(path: Path, id_column: str | None, layout: Layout = PLAIN) -> list[str]:
    """Item ids in the order of the rows: the lines of a ``.txt``, or a column of a table; blank lines are none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, no such column, or an id is missing.
    """
    if path.suffix.lower() == ".txt":
        with reading(path, "UTF-8 text with an item id a line"):
            text = path.read_bytes().decode(layout.encoding or "utf-8-sig")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return tidied_list(line for line in lines if line.strip())
    table = scan(path, layout, [(id_column,) if id_column else ITEM_NAMES])
    column = id_column or guess(table.columns, ITEM_NAMES, path, "item")
    return table.select({"id": column}).ids("id", "rows without an item id").ids.to_list()


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
        f"{path} has no column that is called like {what} ids ({', '.join(names[:6])} or such); its columns are "
        f"{quoted(columns)}: name the right one in a dataset.toml"
    )


def _from_table(source: FeatureSource) -> IndexedFeatures:
    path = source.file
    table = scan(path, source.layout, [(source.id_column,) if source.id_column else ITEM_NAMES])
    id_column = source.id_column or guess(table.columns, ITEM_NAMES, path, "item")
    others = [column for column in table.columns if column != id_column]
    unnamed = [column for column in others if ROW_NUMBERS.fullmatch(column)]
    rows = table.select({name: name for name in table.columns if name not in unnamed})
    numbering = [column for column in others if column in unnamed or _numbers_rows(rows, column)]
    values = [column for column in others if column not in numbering]
    if not values:
        raise ValueError(f"{path} has no column of numbers beside its ids; its columns are {quoted(table.columns)}")
    ids = rows.ids(id_column, "rows without an item id")
    matrix, kept = _matrix(rows, values)
    said = rows.repairs(ids, columns=numbering)
    return IndexedFeatures(ids.ids.filter(kept).to_list(), matrix, str(path), said)


def _numbers_rows(rows: Rows, name: str) -> bool:
    """Whether a column is called like row numbers and counts the rows from 0."""
    if name not in INDEX_NAMES or not (rows[name].dtype == pl.String or rows[name].dtype.is_numeric()):
        return False
    return rows[name].cast(pl.Float64, strict=False).to_list() == list(range(len(rows.frame)))


def _matrix(rows: Rows, names: Sequence[str]) -> tuple[Float32[ndarray, "n_rows width"], pl.Series]:
    """The numbers of the rows that have any, and which these are."""
    first = rows[names[0]]
    expected = "a table with numeric columns, or one column of equally long lists, beside its ids"
    with reading(rows.path, expected):
        if len(names) == 1 and first.dtype.base_type() in (pl.List, pl.Array):
            kept = first.is_not_null()
            return _stacked(first.filter(kept)), kept
        columns = [_numeric(rows[name]) for name in names]
        matrix = pl.DataFrame(columns).to_numpy()
    return matrix, pl.Series([True]).new_from_index(0, len(matrix))


def _numeric(column: pl.Series) -> pl.Series:
    """A column as numbers, which dates and truth values are not."""
    name = clipped(column.name)
    if column.dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float32, strict=False)
        bad = column.filter(numbers.is_null() & column.is_not_null() & (column != ""))
        if len(bad):
            raise ValueError(
                f"its column {name!r} has {len(bad)} of {len(column)} values that are no numbers, "
                f"e.g. {clipped(bad[0])!r}; leave the column out, or write it as numbers"
            )
        return numbers
    _check_numbers(f"its column {name!r}", column)
    return column.cast(pl.Float32)


def _check_numbers(what: str, column: pl.Series) -> None:
    kind = column.dtype
    if not (kind.is_numeric() or kind == pl.Null):
        raise ValueError(
            f"{what} holds {in_words(column)}, which are no numbers; leave the column out, or write it as numbers"
        )


def _stacked(lists: pl.Series) -> Float32[ndarray, "n_rows width"]:
    _check_numbers(f"its column of lists {clipped(lists.name)!r}", lists.head(1).explode())
    lists = lists.cast(pl.List(pl.Float32))
    widths = lists.list.len().unique().to_list()
    if len(widths) != 1 or widths[0] == 0:
        raise ValueError(f"its lists have the lengths {widths[:5]}")
    return lists.explode().to_numpy().reshape(len(lists), widths[0])


def _from_tensors(source: FeatureSource) -> IndexedFeatures:
    tensors = read_tensors(source.file)
    if set(tensors) == {MATRIX_KEY} and tensors[MATRIX_KEY].ndim == 2:
        return _with_ids(source, tensors[MATRIX_KEY])
    shapes = {tensor.shape for tensor in tensors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            f"{source.file} must hold one matrix under the key {MATRIX_KEY!r}, or one vector an item id, "
            f"all of one length, but holds {len(tensors)} tensors of shapes {sorted(shapes)[:3]}"
        )
    ids = tidied(pl.Series("id", list(tensors), dtype=pl.String))
    said = TableCleaningReport(
        source.file.name, padded_ids=ids.padded, decimal_ids=ids.decimals, decimal_id=ids.decimal
    )
    return IndexedFeatures(ids.ids.to_list(), np.stack(list(tensors.values())), str(source.file), said)


def _with_ids(source: FeatureSource, values: Shaped[ndarray, "..."]) -> IndexedFeatures:
    if source.ids is None:
        raise ValueError(f"{source.file} has rows without ids; name a file of item ids in row order (ids = ...) for it")
    rows = IndexedFeatures(row_ids(source.ids, source.id_column, source.layout), values, str(source.file))
    present = read_mask(source.file, values.shape)
    if present is None:
        return rows
    kept = [rows.ids[row] for row in np.flatnonzero(present).tolist()]
    return replace(rows, ids=kept, values=values[present])
