"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

# No reader's pattern matches it, nobody can guess it, and what a kill leaves is known by it.
_TEMPORARY = re.compile(r"\.flatrec-[0-9a-f]{32}\.tmp")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of ``path`` when the block ends, and is removed when it raises.

    It has the name of ``path``, by which some writers choose a format, and lies in a folder of its own beside it, which
    holds what writers put beside their files as well. What killed processes left in the folder of ``path`` is removed
    first, once a process.

    Raises:
        OSError: the folder cannot be written to, the disk is full, or ``path`` is there and not a regular file.
    """
    check_target(path)
    _sweep_once(str(path.parent.absolute()))
    with own_folder(path) as folder:
        temporary = folder / path.name
        temporary.touch()
        mode = temporary.stat().st_mode  # as open as any file here; some writers make private ones
        with _named(path):
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """A private folder beside ``path``, gone when the block ends; locked, so that nobody takes it for a leftover.

    Raises:
        OSError: the folder of ``path`` cannot be written to.
    """
    folder = path.with_name(f".flatrec-{secrets.token_hex(16)}.tmp")
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise type(error)(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from None
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece.

    Raises:
        OSError: as :func:`atomic_write`.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_target(path: Path) -> None:
    """Refuse to write over what is there and not a regular file: a folder, a link, a device, a pipe.

    Raises:
        OSError: it is none.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:  # not there, or its folder is not: opening says what is wrong
        return
    if stat.S_ISREG(mode):
        return
    what = "a symbolic link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
    raise OSError(f"cannot write {path}: it is {what}, not a regular file; choose another name")


def sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote left in a folder; what others write stays."""
    try:
        names = [entry.name for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        with _locked(folder / name) as abandoned:
            if abandoned:
                shutil.rmtree(folder / name, ignore_errors=True)


@lru_cache(maxsize=64)
def _sweep_once(folder: str) -> None:
    sweep(Path(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder until the block ends; False where another process does, or the system has no such locks."""
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, or nothing of ours
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in an error of a write, which knows none (and is in numpy's words where numpy writes)."""
    try:
        yield
    except OSError as error:
        of_numpy = error.errno is None and "requested and" in str(error)
        if error.filename is not None or (error.errno is None and not of_numpy):
            raise
        reason = "the disk is full" if of_numpy or error.errno in _FULL else error.strerror
        raise OSError(f"cannot write {path}: {reason}; free some space or choose another folder") from None
