"""The table of an export: whether it exists, and whether the export fits it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import SAWarning

from flatrec.inference.export.database.backend import Backend, TableName
from flatrec.inference.export.schema import Schema
from flatrec.utils.messages import clipped, quoted

_TYPES: dict[type[pl.DataType], str] = {  # as both databases have them
    pl.String: "TEXT",
    pl.Int8: "SMALLINT",
    pl.Int16: "SMALLINT",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.UInt8: "SMALLINT",
    pl.UInt16: "INTEGER",
    pl.UInt32: "BIGINT",
    pl.Float32: "REAL",
    pl.Float64: "DOUBLE PRECISION",
    pl.Boolean: "BOOLEAN",
}
_FAMILIES = {  # what an existing column may be, and how that is called
    "text": (sa.String,),
    "an integer": (sa.Integer,),
    "a floating-point number": (sa.Float, sa.Numeric),
    "a boolean": (sa.Boolean,),
}


@dataclass(frozen=True)
class Target:
    """The table whose rows an export replaces.

    Attributes:
        name: its name.
        exists: False if it is created when the export is complete.
        schema: columns of the export.
        key: columns of the primary key; of an existing table that has none, empty.
        comment: what a new table contains.
        types: the types of the columns in the database, as one text; staged rows of other types are not used.
    """

    name: TableName
    exists: bool
    schema: Schema
    key: tuple[str, ...]
    comment: str
    types: str

    @property
    def columns(self) -> dict[str, str]:
        """SQL types of the columns of a new table."""
        return {column: column_type(self.schema, column) for column in self.schema}


def find_target(backend: Backend, name: TableName, schema: Schema, *, key: Sequence[str], comment: str) -> Target:
    """Find the table of an export and check that the export fits it; nothing is written.

    Raises:
        ValueError: it is not a table, its columns do not fit, or other tables depend on its rows.
        PermissionError: a right is missing.
    """
    for column in schema:
        column_type(schema, column)
        if "\0" in column:
            raise ValueError(f"a column is called {column!r}; rename it, no database has names with NUL characters")
    with backend.connection.begin():
        kind = backend.kind(name)
        if kind is None:
            return Target(name, False, schema, tuple(key), comment, "")
        if kind == "other":
            raise ValueError(f"{name} is not a table; choose another name, or the table that it reads")
        columns = columns_of(backend, name)
        _check_columns(name, schema, columns)
        backend.check_rights(name)
        own_key = sa.inspect(backend.connection).get_pk_constraint(name.name, name.schema)["constrained_columns"]
    types = ", ".join(f"{column['name']} {column['type']!r}" for column in columns if column["name"] in schema)
    return Target(name, True, schema, tuple(own_key), comment, types)


def columns_of(backend: Backend, table: TableName) -> list[ReflectedColumn]:
    """Return the columns of a table, in the transaction that is open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # a column of somebody's own may have a type that SQLAlchemy lacks
        return sa.inspect(backend.connection).get_columns(table.name, table.schema)


def column_type(schema: Schema, column: str) -> str:
    """Return the type that a column of a frame gets in a new table.

    Raises:
        ValueError: there is none.
    """
    dtype = schema[column]
    found = _TYPES.get(dtype.base_type())
    if found is None:
        raise ValueError(f"columns of type {dtype} cannot be exported; cast them to text, integers, floats or booleans")
    return found


def _check_columns(name: TableName, schema: Schema, columns: Sequence[ReflectedColumn]) -> None:
    existing = {column["name"]: column for column in columns}
    missing = [column for column in schema if column not in existing]
    if missing:
        raise ValueError(
            f"table {name} has no columns {quoted(missing)}; it has {quoted(existing)}; choose another table"
        )
    for column in schema:
        _check_type(name, existing[column], _family(schema, column))
    required = [column["name"] for column in columns if column["name"] not in schema and not _is_optional(column)]
    if required:
        raise ValueError(f"table {name} needs values of columns {quoted(required)}; give these columns a default")


def _check_type(name: TableName, column: ReflectedColumn, family: str) -> None:
    label = f"column {clipped(column['name'])!r} of table {name}"
    if column.get("computed"):
        raise ValueError(f"{label} is generated, so that nothing can be written to it; choose another table")
    if not isinstance(column["type"], _FAMILIES[family]):
        raise ValueError(f"{label} has the type {column['type']}, but the export needs {family}; choose another table")


def _family(schema: Schema, column: str) -> str:
    dtype = schema[column]
    if dtype == pl.String:
        return "text"
    if dtype == pl.Boolean:
        return "a boolean"
    return "an integer" if dtype.is_integer() else "a floating-point number"


def _is_optional(column: ReflectedColumn) -> bool:
    filled = (column.get("default"), column.get("computed"), column.get("identity"))
    return column["nullable"] or any(value is not None for value in filled)
