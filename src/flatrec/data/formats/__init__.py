"""One reader a file format, all giving the same data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from flatrec.data.dataset import Dataset
from flatrec.data.formats import description, mmrec, mrlib, recbole

FORMATS: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {
        "mmrec": mmrec.read,
        "mrlib": mrlib.read,
        "recbole": recbole.read,
        "table": description.read_path,
    }
)
