"""Columns that describe items, such as prices and categories: one row per item, in the order of their indices."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import polars as pl

from flatrec.utils.messages import clipped

RESERVED = ("itemID", "id", "item", "title", "image")  # columns of the tables of items that flatrec writes


def align_item_columns(
    ids: Sequence[Hashable], columns: pl.DataFrame, items: Sequence[Hashable], source: str
) -> pl.DataFrame:
    """Return the rows of the items in their order; an item without a row has nulls.

    Args:
        ids: the item of each row, by id or index.
        columns: the rows.
        items: the items of the data set, by id or index.
        source: the name of the table in messages.

    Raises:
        ValueError: an id repeats, or a column has a name that flatrec uses itself.
    """
    check_names(columns.columns, source)
    row_of = {item: row for row, item in enumerate(ids)}
    if len(row_of) != len(ids):
        raise ValueError(f"{source} has {len(ids) - len(row_of)} rows whose id repeats; keep one row per id")
    rows = pl.Series("row", [row_of.get(item) for item in items], dtype=pl.UInt32)
    return columns.select(pl.all().gather(rows))


def check_names(names: Sequence[str], source: str) -> None:
    """Refuse names of columns that flatrec uses itself.

    Raises:
        ValueError: there is one.
    """
    taken = [name for name in names if name in RESERVED]
    if taken:
        raise ValueError(
            f"{source} cannot have a further column {clipped(taken[0])!r} of items, which has a meaning of its own; "
            "use title_column or image_column, or name the column otherwise"
        )
