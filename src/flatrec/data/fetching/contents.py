"""Check whether a downloaded file is complete, as far as its format shows it."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np

from flatrec.data.amazon.images import RECORD
from flatrec.data.fetching.archives import check_members
from flatrec.data.tables.malformed import MALFORMED

_PIECE = 1 << 20


def has_end_marker(name: str) -> bool:
    """Return True if :func:`check_contents` notices when a file of that name is cut short."""
    return name.endswith((".gz", ".zip", ".npy"))


def check_contents(path: Path, name: str) -> None:
    """Refuse an empty file, and one that can be seen to be cut short or hostile; its name shows the format.

    Raises:
        ValueError: the file is empty or damaged, or an archive whose members are not to be unpacked.
    """
    if not path.stat().st_size:
        raise ValueError(f"{name} is empty; fetch it again")
    if name.endswith(".b") and path.stat().st_size % RECORD:
        raise ValueError(f"{name} is not a whole number of records of {RECORD} bytes; fetch it again")
    try:
        if name.endswith(".gz"):
            with gzip.open(path) as file:
                while file.read(_PIECE):
                    pass
        if name.endswith(".npy"):
            _check_array(path, name)
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                check_members(archive, name, path.stat().st_size)
                if damaged := archive.testzip():
                    raise ValueError(f"{name} is damaged at {damaged}; fetch it again")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name} is damaged ({error}); fetch it again") from None


def _check_array(path: Path, name: str) -> None:
    """Compare the length of a file with the shape in its header."""
    try:
        np.lib.format.open_memmap(path, mode="r")
    except (SyntaxError, *MALFORMED) as error:
        raise ValueError(f"{name} is damaged ({error}); fetch it again") from None
