"""Titles and item columns of new items, from the table that lists them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flatrec.data.items import ItemTable
from flatrec.data.tables.typed import typed_text
from flatrec.inference.catalog import Catalog
from flatrec.inference.joining import ItemDetails


def details_of(table: ItemTable, ids: Sequence[str], catalog: Catalog) -> ItemDetails:
    """Return what a table says of items, as far as the known items have it too.

    Args:
        table: one row per item; its columns have the names of the known items' ones, titles that of ``title``.
        ids: the items, in the order of the details.
        catalog: the known items.

    Raises:
        ValueError: a value of a column cannot be one of the known items' type.
    """
    row_of = {item: row for row, item in enumerate(table.ids)}
    rows = table.frame[[row_of[item] for item in ids]]
    titles = rows["title"].cast(pl.String).to_list() if "title" in rows.columns and catalog.titles is not None else None
    known = [] if catalog.columns is None else catalog.columns.get_columns()
    columns = {column.name: _as_known(rows, column, table) for column in known if column.name in rows.columns}
    return ItemDetails(titles, None, pl.DataFrame(columns) if columns else None)


def _as_known(rows: pl.DataFrame, known: pl.Series, table: ItemTable) -> pl.Series:
    """Return a column in the type that the known items have it in."""
    values = rows[known.name]
    if values.dtype == pl.String and known.dtype != pl.String:
        values = typed_text(values, decimal=".")
    try:
        return values.cast(known.dtype)
    except pl.exceptions.PolarsError:
        raise ValueError(
            f"column {known.name!r} of {table.path} holds {values.dtype}, but that of the known items {known.dtype}; "
            "write it as it is written there"
        ) from None
