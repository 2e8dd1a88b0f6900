"""Renaming of files and folders, also where other programs look at them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_PATIENCE = 2.0  # seconds
_PAUSE = 0.05  # seconds between two attempts


def move(source: Path, target: Path) -> None:
    """Rename a file or folder in one step; a file that has the new name already is replaced.

    Windows renames nothing that a program has open, and virus scanners open new files for a moment. There, the call is
    repeated for two seconds.

    Raises:
        OSError: it cannot be renamed, or a folder that is not empty has the new name.
    """
    end = time.monotonic() + _PATIENCE
    while sys.platform == "win32":
        try:
            source.replace(target)
            return
        except PermissionError as error:
            if time.monotonic() >= end:
                raise PermissionError(
                    f"cannot write {target}: {error.strerror}; end the programs that have it open, such as a service"
                ) from None
            time.sleep(_PAUSE)
    source.replace(target)


def move_link(link: Path, target: Path) -> None:
    """Rename a symbolic link to a folder; a link that has the new name already is replaced.

    It is one step except on Windows, which replaces no link to a folder: there, the name is missing for a moment.

    Raises:
        OSError: it cannot be renamed, or something else than a link has the new name.
    """
    if sys.platform == "win32" and target.is_symlink():
        target.unlink()
    move(link, target)
