"""The rows of users in a table of a database."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from flatrec.inference.export.database.backend import Backend, TableName
from flatrec.inference.export.database.staging import drop_staging
from flatrec.inference.export.database.target import columns_of
from flatrec.utils.messages import clipped

_USERS_PER_STATEMENT = 500


def delete_rows(backend: Backend, table: TableName, column: str, users: Sequence[str]) -> int:
    """Delete the rows of users and the staging table of a stopped export, in one transaction; return how many rows.

    Raises:
        ValueError: the table does not exist, or has no such column.
    """
    connection = backend.connection
    rows = sa.table(table.name, sa.column(column, sa.Text), schema=table.schema)
    n_rows = 0
    with connection.begin():
        if backend.kind(table) != "table":
            raise ValueError(f"there is no table {table} in {backend.address.shown}; correct its name")
        names = {found["name"] for found in columns_of(backend, table)}
        if column not in names:
            raise ValueError(f"table {table} has no column {clipped(column)!r}; name the column with the user ids")
        backend.erase_deleted()
        drop_staging(backend, table)
        backend.block_writers(table)
        for start in range(0, len(users), _USERS_PER_STATEMENT):
            batch = users[start : start + _USERS_PER_STATEMENT]
            n_rows += connection.execute(rows.delete().where(rows.columns[column].in_(batch))).rowcount
    return n_rows
