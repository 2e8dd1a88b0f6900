"""Any frame as the table that readers of files use."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import polars as pl

from flatrec.data.frames.pandas_columns import PandasColumns
from flatrec.data.tables.files import Table
from flatrec.data.tables.malformed import reading
from flatrec.data.tables.objects import object_series
from flatrec.utils.messages import clipped


@runtime_checkable
class ArrowStream(Protocol):
    """A table that can be read by Arrow's PyCapsule interface: of pyarrow, duckdb, polars and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a stream of Arrow."""


Frame: TypeAlias = pl.LazyFrame | ArrowStream


def as_table(frame: object, what: str) -> Table:
    """Return a frame as a table, whose columns are converted when they are read.

    Args:
        frame: a frame of polars, pandas or pyarrow, or any other object with Arrow's PyCapsule interface.
        what: what the frame holds, for messages, such as ``interactions``.

    Raises:
        TypeError: it is no frame.
        ValueError: two columns have the same name, or names have several levels.
    """
    path = Path(f"the frame of {what}")
    if isinstance(frame, pl.LazyFrame):
        with reading(path, "a lazy frame", in_memory=True):
            return Table(path, frame, frame.collect_schema().names(), in_memory=True)
    if PandasColumns.matches(frame):
        columns = PandasColumns(frame)
        names = columns.names(path)
        _check_names(names, path)
        return Table(path, columns, names, in_memory=True, index=columns.index)
    if not isinstance(frame, ArrowStream):
        raise TypeError(
            f"{path} must be a frame of polars, pandas or pyarrow, or have Arrow's PyCapsule interface, but is of type "
            f"{type(frame).__name__}; load_data reads files"
        )
    return _from_arrow(frame, path)


def _from_arrow(stream: ArrowStream, path: Path) -> Table:
    _check_names(_arrow_names(stream), path)
    with reading(path, "a table of Arrow", in_memory=True):
        frame = stream if isinstance(stream, pl.DataFrame) else pl.DataFrame(stream)
        objects = [name for name, kind in frame.schema.items() if kind == pl.Object]
        frame = frame.with_columns(object_series(name, frame[name].to_list()) for name in objects)
    return Table(path, frame.lazy(), frame.columns, in_memory=True)


def _arrow_names(stream: object) -> list[str]:
    """Return the names of the columns of a table of pyarrow, of which two may be equal; else nothing."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(stream, (pyarrow.Table, pyarrow.RecordBatch)):
        return list(stream.schema.names)
    return []


def _check_names(names: Sequence[str], path: Path) -> None:
    name, number = next(iter(Counter(names).most_common(1)), ("", 0))
    if number > 1:
        indices = [str(index) for index, other in enumerate(names) if other == name]
        raise ValueError(
            f"{path} has {number} columns named {clipped(name)!r} (columns {' and '.join(indices[:2])}, counted from "
            "0); rename or drop all but one"
        )
