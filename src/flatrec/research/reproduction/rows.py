"""The rows of the paper's tables that can be trained, and how a user names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flatrec.research.reporting.reported import reported_cases
from flatrec.utils.messages import unknown

TABLES: Mapping[str, str] = {"table2": "II", "table4": "IV", "table5": "V", "table6": "VI", "table8": "VIII"}
NOISE = "table4"  # its runs are the usual ones, scored under noise on features


@dataclass(frozen=True)
class Row:
    """A case of a table.

    Args:
        dataset: name of the paper's data set, such as ``baby``.
        model: name of the model.
        strategy: name of the strategy.
        condition: what differs from the paper's usual run, as in ``reported.csv``: ``batch 1024`` or ``rmsprop``; empty
            where nothing differs.
    """

    dataset: str
    model: str
    strategy: str
    condition: str = ""

    @property
    def name(self) -> str:
        """The name of the row, such as ``baby/freedom/bsam+/batch-1024``."""
        parts = (self.dataset, self.model, self.strategy, self.condition.replace(" ", "-"))
        return "/".join(part for part in parts if part)


def rows_of(table: str) -> tuple[Row, ...]:
    """The rows of a table in the paper's order; a row that an earlier table has is under that one.

    Raises:
        ValueError: there is no such table.
    """
    if table not in TABLES:
        raise ValueError(unknown("table", table, list(TABLES)))
    cases = reported_cases(TABLES[table])
    rows = (Row(case.dataset, case.model, case.strategy, "" if table == NOISE else case.condition) for case in cases)
    return tuple(dict.fromkeys(rows))


def find_row(table: str, name: str) -> Row:
    """The row of a table that has a name, in any case.

    Raises:
        ValueError: there is no such table, or no such row in it.
    """
    rows = {row.name: row for row in rows_of(table)}
    if name.lower() not in rows:
        raise ValueError(unknown(f"row of {table}", name.lower(), list(rows)))
    return rows[name.lower()]
