"""The staging table: blocks of an export, committed one by one, and the transaction that makes them visible."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from flatrec.inference.export.database.backend import Backend, TableName
from flatrec.inference.export.database.target import Target
from flatrec.utils.integrity import digest

STAGING, PROGRESS = "flatrec_staging", "flatrec_progress"  # what is appended to the name of the table


@dataclass
class Staging:
    """A staging table that is being filled.

    Attributes:
        backend: connection to the database.
        target: the table whose rows it will replace.
        next_block: number of the next block.
        n_rows: rows up to here.
    """

    backend: Backend
    target: Target
    next_block: int
    n_rows: int

    @property
    def name(self) -> TableName:
        """Name of the staging table."""
        return self.backend.beside(self.target.name, STAGING)

    def append(self, block: pl.DataFrame) -> None:
        """Write a block and its number, in one transaction.

        Raises:
            ValueError: the block has other columns than the table, or a value that the database cannot store.
        """
        if block.schema != self.target.schema:
            raise ValueError(f"block {self.next_block} has the columns {block.schema}, not {self.target.schema}")
        progress = _progress_table(self.backend, self.target.name)
        n_rows = self.n_rows + block.height
        with self.backend.connection.begin():
            self.backend.write(self.name, block)
            self.backend.connection.execute(progress.update().values(next_block=self.next_block + 1, n_rows=n_rows))
        self.next_block, self.n_rows = self.next_block + 1, n_rows


def open_staging(backend: Backend, target: Target, generation: str) -> Staging:
    """Open the staging table of a generation, or create it; that of another generation is dropped.

    Raises:
        ValueError: a table of somebody else has its name.
    """
    identity = digest(generation, repr(target.schema), target.types)
    with backend.connection.begin():
        progress = _progress_table(backend, target.name)
        if _is_staged(backend, target.name):
            row = backend.connection.execute(sa.select(progress)).one()
            if row.generation == identity:
                return Staging(backend, target, row.next_block, row.n_rows)
            drop_staging(backend, target.name)
        staging = Staging(backend, target, 0, 0)
        _create(staging)
        progress.create(backend.connection)
        backend.connection.execute(progress.insert().values(generation=identity, next_block=0, n_rows=0))
    return staging


def drop_staging(backend: Backend, table: TableName) -> None:
    """Drop the staging table of a table if there is one, in the transaction that is open.

    Raises:
        ValueError: a table of somebody else has its name.
    """
    if _is_staged(backend, table):
        for suffix in (STAGING, PROGRESS):
            backend.execute(f"DROP TABLE {backend.quote_table(backend.beside(table, suffix))}")


def swap(staging: Staging) -> None:
    """Replace the rows of the table by the staged ones and drop the staging table, in one transaction."""
    backend, target = staging.backend, staging.target
    columns = list(target.schema)
    final, staged = (
        sa.table(name.name, *map(sa.column, columns), schema=name.schema) for name in (target.name, staging.name)
    )
    rows = sa.select(*staged.columns)
    if backend.sorts_by_key:
        rows = rows.order_by(*(staged.columns[name] for name in target.key if name in columns))
    with backend.connection.begin():
        if target.exists:
            backend.block_writers(target.name)
            backend.connection.execute(final.delete())
        else:
            backend.create(target.name, target.columns, target.key, target.comment)
        backend.connection.execute(final.insert().from_select(columns, rows))
        drop_staging(backend, target.name)


def _create(staging: Staging) -> None:
    """Create the staging table, with the column types of an existing table, so that a value that is too long shows."""
    backend, target = staging.backend, staging.target
    if target.exists:
        columns = ", ".join(map(backend.quote, target.schema))
        source = f"SELECT {columns} FROM {backend.quote_table(target.name)} WHERE 1 = 0"
        backend.execute(f"CREATE TABLE {backend.quote_table(staging.name)} AS {source}")
    else:
        backend.create(staging.name, target.columns)


def _is_staged(backend: Backend, table: TableName) -> bool:
    staging, progress = (backend.beside(table, suffix) for suffix in (STAGING, PROGRESS))
    kinds = (backend.kind(staging), backend.kind(progress))
    if kinds not in ((None, None), ("table", "table")):
        raise ValueError(f"{staging} and {progress} are not both flatrec's own tables; rename or drop them")
    return kinds[0] is not None


def _progress_table(backend: Backend, table: TableName) -> sa.Table:
    name = backend.beside(table, PROGRESS)
    columns = (("generation", sa.Text), ("next_block", sa.BigInteger), ("n_rows", sa.BigInteger))
    return sa.Table(name.name, sa.MetaData(), *(sa.Column(*column) for column in columns), schema=name.schema)
