"""Paths that a table holds, relative to the folder of the table."""

from __future__ import annotations

import os
from pathlib import Path


def relative_path(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with the links in both resolved, and with slashes on every system.

    On Windows, a path on another drive stays absolute.
    """
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()
