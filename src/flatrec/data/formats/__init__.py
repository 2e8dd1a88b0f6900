"""The formats of data sets: every module of this package is one, found by its constant ``FORMAT``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from flatrec.config.split import SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.tables.logged import LoggedEvents


@dataclass(frozen=True)
class DataFormat:
    """A format of data sets.

    Args:
        name: the name of the format.
        marker: the files by which a user recognizes it, for messages.
        matches: returns True if a path, which exists, holds data in this format; cheap, and tolerant of any file.
        read: returns the data set at a path; raises FileNotFoundError or ValueError.
        order: formats with a lower number are asked first; the first one that matches reads the path.
        read_split: returns the data set with another split than its own, which need not be possible; None if data in
            this format do not say how to split them.
        read_logged: returns the data set with another split and with the events of a log; None if data in this format
            cannot be joined with any.
    """

    name: str
    marker: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    order: int = 50
    read_split: Callable[[Path, SplitSettings], Dataset] | None = None
    read_logged: Callable[[Path, SplitSettings, LoggedEvents], Dataset] | None = None


@cache
def data_formats() -> tuple[DataFormat, ...]:
    """Return the formats of all modules of this package, in the order in which they are asked.

    Raises:
        TypeError: a module has a constant ``FORMAT`` that is no DataFormat.
    """
    formats: list[DataFormat] = []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        data_format: object = import_module(module.name).FORMAT
        if not isinstance(data_format, DataFormat):
            raise TypeError(f"{module.name}.FORMAT must be a DataFormat, but is {data_format!r:.100}")
        formats.append(data_format)
    return tuple(sorted(formats, key=lambda data_format: (data_format.order, data_format.name)))
