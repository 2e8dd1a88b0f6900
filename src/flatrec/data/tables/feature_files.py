"""Feature files whose rows have item ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped
from numpy import ndarray

from flatrec.data.builder import IndexedFeatures
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.id_repair import IdMatching, repair_id_list, repair_ids
from flatrec.data.tables.arrays import read_array, read_mask, read_tensors
from flatrec.data.tables.columns import describe_dtype
from flatrec.data.tables.files import NO_FILE, Table, TableRows, path_of, scan
from flatrec.data.tables.malformed import reading
from flatrec.data.tables.numbers import parse_numbers
from flatrec.data.tables.parquet import is_parquet
from flatrec.data.tables.row_numbers import ROW_NUMBERS
from flatrec.data.tables.text import PLAIN, Layout, ending
from flatrec.utils.messages import clipped, quoted

ITEM_NAMES = (
    "item", "item_id", "itemid", "iid", "product", "product_id", "productid", "sku", "asin",
    "article", "article_id", "movie", "movie_id", "movieid", "track_id", "id",
)  # fmt: skip
MATRIX_KEY = "values"
# Names that pandas gives to an index that becomes a column; features may have them too.
INDEX_NAMES = ("index", "level_0")


@dataclass(frozen=True, eq=False)
class FeatureArray:
    """A matrix in memory, in the place of a ``.npy`` file."""

    path: Path  # a name for messages
    values: Shaped[ndarray, "..."]  # the matrix


@dataclass(frozen=True)
class FeatureSource:
    """The files that hold the features of one modality, or the frame or array in their place.

    Args:
        file: ``.npy`` or ``.safetensors`` with a matrix (under the key ``values``) whose rows are in the
            order of ``ids``; rows for which ``MODALITY_mask.npy``, beside ``MODALITY_feat.npy``, is False are left
            out; ``.safetensors`` with one vector per item id; or ``.parquet``, ``.csv`` or ``.tsv`` with a
            column of item ids and one column of lists or any number of numeric columns. Left out if a frame or an
            array is given instead.
        ids: a text file with one id per line (``.txt``), or a table whose id column is in the order of the rows.
        id_column: the column of ids in ``file`` or ``ids``; found by one of ITEM_NAMES if left out.
        layout: how ``file`` or ``ids`` is written, if it is a text table.
        id_matching: which differences between ids are removed.
    """

    file: Path | Table | FeatureArray = NO_FILE
    ids: Path | Table | None = None
    id_column: str | None = None
    layout: Layout = PLAIN
    id_matching: IdMatching = "trim"

    @property
    def path(self) -> Path:
        """The path of the file, or the name of the frame or array for messages."""
        return self.file if isinstance(self.file, Path) else self.file.path


def read_features(source: FeatureSource) -> IndexedFeatures:
    """Read the rows of one modality with their item ids.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is malformed, or no ids are given for its rows.
    """
    file = source.file
    if isinstance(file, FeatureArray):
        return _with_ids(source, file.path, file.values)
    if isinstance(file, Table) or is_parquet(file) or ending(file) in (".csv", ".tsv"):
        return _from_table(source, file)
    if ending(file) == ".npy":
        return _with_mask(file, _with_ids(source, file, read_array(file)))
    if ending(file) == ".safetensors":
        return _from_tensors(source, file)
    raise ValueError(f"{file} is not a feature file; use .npy, .safetensors, .parquet, .csv or .tsv")


def row_ids(
    source: Path | Table, id_column: str | None, layout: Layout = PLAIN, matching: IdMatching = "trim"
) -> list[str]:
    """Return item ids in the order of the rows: the lines of a ``.txt`` that are not blank, or a column of a table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: malformed, no such column, or an id is missing.
    """
    path = path_of(source)
    if path.suffix.lower() == ".txt":
        with reading(path, "UTF-8 text with one item id per line"):
            text = path.read_bytes().decode(layout.encoding or "utf-8-sig")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return repair_id_list((line for line in lines if line.strip()), matching)
    table = scan(source, layout, [(id_column,) if id_column else ITEM_NAMES])
    column = id_column or guess_column(table.columns, ITEM_NAMES, path, "item")
    return table.select({"id": column}).ids("id", "rows without an item id", matching).ids.to_list()


def guess_column(columns: Sequence[str], names: Sequence[str], path: Path, what: str) -> str:
    """Return the column with the first of the names, preferred ones first, that the table has, in upper or lower case.

    Raises:
        ValueError: no column has one of the names.
    """
    spelled = {column.lower(): column for column in reversed(columns)}
    for name in names:
        if name in spelled:
            return spelled[name]
    raise ValueError(
        f"{path} has no column of {what} ids (named {', '.join(names[:6])} or similar); its columns are "
        f"{quoted(columns)}: name the right one in a dataset.toml, or in TableSettings for a frame"
    )


def _from_table(source: FeatureSource, file: Path | Table) -> IndexedFeatures:
    path = path_of(file)
    table = scan(file, source.layout, [(source.id_column,) if source.id_column else ITEM_NAMES])
    id_column = source.id_column or guess_column(table.columns, ITEM_NAMES, path, "item")
    others = [column for column in table.columns if column != id_column]
    unnamed = [column for column in others if ROW_NUMBERS.fullmatch(column)]
    rows = table.select({name: name for name in table.columns if name not in unnamed})
    row_numbers = [column for column in others if column in unnamed or _numbers_rows(rows, column)]
    values = [column for column in others if column not in row_numbers]
    if not values:
        raise ValueError(f"{path} has no column of numbers besides its ids; its columns are {quoted(table.columns)}")
    ids = rows.ids(id_column, "rows without an item id", source.id_matching)
    matrix, present = _matrix(rows, values)
    report = rows.cleaning_report(ids, row_number_columns=row_numbers)
    return IndexedFeatures(ids.ids.filter(present).to_list(), matrix, str(path), report)


def _numbers_rows(rows: TableRows, name: str) -> bool:
    """Return True if a column has a name of row numbers and counts the rows from 0."""
    if name not in INDEX_NAMES or not (rows[name].dtype == pl.String or rows[name].dtype.is_numeric()):
        return False
    return rows[name].cast(pl.Float64, strict=False).to_list() == list(range(len(rows.frame)))


def _matrix(rows: TableRows, names: Sequence[str]) -> tuple[Float32[ndarray, "n_rows width"], pl.Series]:
    """Return the values of the rows that have some, and a flag for each row that is True for these rows."""
    first = rows[names[0]]
    expected = "a table with numeric columns, or one column of equally long lists, besides its ids"
    with reading(rows.path, expected, in_memory=rows.table.in_memory):
        if len(names) == 1 and first.dtype.base_type() in (pl.List, pl.Array):
            present = first.is_not_null()
            return _stacked(first.filter(present)), present
        columns = [_numeric(rows[name], rows.decimal) for name in names]
        matrix = pl.DataFrame(columns).to_numpy()
    return matrix, pl.Series([True]).new_from_index(0, len(matrix))


def _numeric(column: pl.Series, decimal: str) -> pl.Series:
    """Return a column as numbers; dates and truth values are refused."""
    name = clipped(column.name)
    if column.dtype == pl.String:
        numbers = parse_numbers(column, decimal, 32)
        bad = column.filter(numbers.is_null() & column.is_not_null() & (column != ""))
        if len(bad):
            raise ValueError(
                f"its column {name!r} has {len(bad)} of {len(column)} values that are not numbers, "
                f"e.g. {clipped(bad[0])!r}; leave the column out, or write it as numbers"
            )
        return numbers
    _check_numbers(f"its column {name!r}", column)
    return column.cast(pl.Float32)


def _check_numbers(what: str, column: pl.Series) -> None:
    kind = column.dtype
    if not (kind.is_numeric() or kind == pl.Null):
        raise ValueError(
            f"{what} holds {describe_dtype(column)}, which are not numbers; "
            "leave the column out, or write it as numbers"
        )


def _stacked(lists: pl.Series) -> Float32[ndarray, "n_rows width"]:
    _check_numbers(f"its column of lists {clipped(lists.name)!r}", lists.head(1).explode())
    lists = lists.cast(pl.List(pl.Float32))
    widths = lists.list.len().unique().to_list()
    if len(widths) != 1 or widths[0] == 0:
        raise ValueError(f"its lists have the lengths {widths[:5]}")
    return lists.explode().to_numpy().reshape(len(lists), widths[0])


def _from_tensors(source: FeatureSource, file: Path) -> IndexedFeatures:
    tensors = read_tensors(file)
    if set(tensors) == {MATRIX_KEY} and tensors[MATRIX_KEY].ndim == 2:
        return _with_mask(file, _with_ids(source, file, tensors[MATRIX_KEY]))
    shapes = {tensor.shape for tensor in tensors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            f"{file} must hold one matrix under the key {MATRIX_KEY!r}, or one vector per item id, "
            f"all of one length, but holds {len(tensors)} tensors of shapes {sorted(shapes)[:3]}"
        )
    ids = repair_ids(pl.Series("id", list(tensors), dtype=pl.String), source.id_matching)
    report = TableCleaningReport(
        file.name,
        padded_ids=ids.padded,
        lowercased_ids=ids.lowercased,
        decimal_ids=ids.decimals,
        decimal_id_example=ids.decimal_example,
    )
    return IndexedFeatures(ids.ids.to_list(), np.stack(list(tensors.values())), str(file), report)


def _with_ids(source: FeatureSource, path: Path, values: Shaped[ndarray, "..."]) -> IndexedFeatures:
    if source.ids is None:
        raise ValueError(
            f"{path} has rows without ids; name a file of item ids in the order of the rows for it (ids = ...)"
        )
    ids = row_ids(source.ids, source.id_column, source.layout, source.id_matching)
    return IndexedFeatures(ids, values, str(path))


def _with_mask(file: Path, rows: IndexedFeatures) -> IndexedFeatures:
    """Return the rows of a ``.npy`` file that the mask beside it does not leave out."""
    present = read_mask(file, rows.values.shape)
    if present is None:
        return rows
    ids = [rows.ids[row] for row in np.flatnonzero(present).tolist()]
    return replace(rows, ids=ids, values=rows.values[present])
