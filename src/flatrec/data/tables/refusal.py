"""The one way in which a table's values are refused: what is wrong, the first of them, and what to do."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Bool
from numpy import ndarray

from flatrec.data.tables.files import TableRows
from flatrec.utils.messages import clipped


def refuse(rows: TableRows, name: str, bad: pl.Series | Bool[ndarray, "n_rows"], *, what: str, advice: str) -> None:
    """Refuse a column if some of its values are bad.

    Args:
        rows: the rows of the table.
        name: the new name of the column.
        bad: True for each value that is bad.
        what: what bad values are, such as ``are no times``.
        advice: what to do, as the end of the sentence.

    Raises:
        ValueError: a value is bad; the message names the first one and its row.
    """
    flags = bad.to_numpy() if isinstance(bad, pl.Series) else bad
    if not flags.any():
        return
    column = rows[name]
    first = int(np.flatnonzero(flags)[0])
    raise ValueError(
        f"{rows.path} has column {clipped(column.name)!r} with {int(flags.sum())} of {len(flags)} values that {what}, "
        f"the first, {shown(column[first])}, in {rows.position(first)}; {advice}"
    )


def shown(value: object) -> str:
    """Return a value of a table for a message."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "an empty cell"
    return repr(clipped(value)) if isinstance(value, str) else clipped(str(value))
