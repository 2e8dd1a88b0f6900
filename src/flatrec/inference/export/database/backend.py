"""What is done in different ways in SQLite and PostgreSQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import polars as pl
from sqlalchemy import Connection, Engine

from flatrec.inference.export.database.address import Address
from flatrec.utils.integrity import digest
from flatrec.utils.messages import clipped

Kind: TypeAlias = Literal["table", "other"]
_DIGEST = 8  # characters


class TableName(NamedTuple):
    """The name of a table and of its schema; SQLite has no schemas."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return clipped(self.name if self.schema is None else f"{self.schema}.{self.name}", 140)


class Failure(NamedTuple):
    """What an error of a database means to a user."""

    kind: type[Exception]
    reason: str
    advice: str


class Backend(ABC):
    """An open connection to a database.

    Args:
        address: address of the database.
        connection: connection outside of any transaction.
    """

    longest_name: ClassVar[int | None] = None  # bytes
    sorts_by_key: ClassVar[bool] = False  # whether rows are inserted in the order of the primary key

    def __init__(self, address: Address, connection: Connection) -> None:
        self.address, self.connection = address, connection

    @staticmethod
    @abstractmethod
    def create_engine(address: Address, lock_timeout: float) -> Engine:
        """Return an engine whose connections wait that many seconds for locks.

        Raises:
            FileNotFoundError: the folder of a SQLite file does not exist.
        """

    @staticmethod
    @abstractmethod
    def failure(error: Exception) -> Failure:
        """Explain an error of the driver."""

    @abstractmethod
    def resolve(self, table: str) -> TableName:
        """Return the name of a table with the schema that it has or would be created in.

        Raises:
            ValueError: no table can have such a name.
        """

    @abstractmethod
    def lock(self, table: TableName) -> AbstractContextManager[None]:
        """Lock a table against other exports; readers and other writers are not concerned.

        Raises:
            InUseError: another export has locked it.
        """

    @abstractmethod
    def kind(self, table: TableName) -> Kind | None:
        """Return what has the name in the database; None if nothing has."""

    @abstractmethod
    def check_rights(self, table: TableName) -> None:
        """Check that the rows of a table may be replaced.

        Raises:
            PermissionError: a right is missing.
            ValueError: rows of other tables would be deleted with them.
        """

    @abstractmethod
    def create(self, table: TableName, columns: Mapping[str, str], key: Sequence[str] = (), comment: str = "") -> None:
        """Create a table, in the transaction that is open.

        Args:
            table: its name.
            columns: SQL types by column.
            key: columns of its primary key.
            comment: what it contains, if the database keeps that.
        """

    @abstractmethod
    def write(self, table: TableName, block: pl.DataFrame) -> None:
        """Insert the rows of a block, in the transaction that is open.

        Raises:
            ValueError: the database cannot store a value.
        """

    @abstractmethod
    def block_writers(self, table: TableName) -> None:
        """Let no other session write to a table until the end of the transaction that is open."""

    @abstractmethod
    def erase_deleted(self) -> None:
        """Let this session leave nothing of the rows that it deletes, as far as the database can."""

    @abstractmethod
    def clean_up(self, table: TableName) -> None:
        """Make the space of deleted rows usable again; a failure is a warning, since the rows are committed."""

    def execute(self, statement: str) -> None:
        """Execute a statement whose names are quoted by ``quote``."""
        self.connection.exec_driver_sql(statement)

    def quote(self, name: str) -> str:
        """Return a name as SQL has it."""
        return self.connection.dialect.identifier_preparer.quote_identifier(name)

    def quote_table(self, table: TableName) -> str:
        """Return the name of a table as SQL has it."""
        return (
            self.quote(table.name) if table.schema is None else f"{self.quote(table.schema)}.{self.quote(table.name)}"
        )

    def definition(self, columns: Mapping[str, str], key: Sequence[str]) -> str:
        """Return the columns and the key of a new table as SQL has them."""
        parts = [f"{self.quote(name)} {type_}" for name, type_ in columns.items()]
        if key:
            parts.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        return f"({', '.join(parts)})"

    def beside(self, table: TableName, suffix: str) -> TableName:
        """Return the name of a table that belongs to another one, cut to the length that names may have."""
        name = f"{table.name}_{suffix}"
        if self.longest_name is not None and len(name.encode()) > self.longest_name:
            ending = f"_{digest(table.name)[:_DIGEST]}_{suffix}"
            name = table.name.encode()[: self.longest_name - len(ending)].decode(errors="ignore") + ending
        return TableName(table.schema, name)
