"""A column that says in which split each interaction is."""

from __future__ import annotations

import polars as pl

from flatrec.data.interactions import SPLITS
from flatrec.data.tables.files import TableRows
from flatrec.data.tables.refusal import refuse

INDEX_OF = {
    **{name: index for index, name in enumerate(SPLITS)},
    **{str(index): index for index in range(len(SPLITS))},
    "validation": SPLITS.index("valid"),
    "val": SPLITS.index("valid"),
}


def as_splits(rows: TableRows, name: str) -> pl.Series:
    """Return a column of splits, ``train``/``valid``/``test`` or 0/1/2, as 0, 1 and 2.

    Raises:
        ValueError: a value is another one, or missing.
    """
    text = rows.texts(name).str.strip_chars().str.to_lowercase()
    unknown = ~text.is_in(list(INDEX_OF)).fill_null(False)
    refuse(rows, name, unknown, what="name no split", advice="use train, valid, test or 0, 1, 2")
    return text.replace_strict(INDEX_OF, return_dtype=pl.Int8)
