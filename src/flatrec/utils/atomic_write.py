"""Files that are either complete or not there."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from flatrec.utils.locks import LOCK, try_lock
from flatrec.utils.renaming import move

# No reader's pattern matches this name, nobody can guess it, and what a kill leaves behind is recognized by it.
_TEMPORARY = re.compile(r"\.flatrec-[0-9a-f]{32}\.tmp")
_State: TypeAlias = Literal["locked", "taken", "unsupported"]
_ABANDONED = ".abandoned"  # in a folder that a sweep is about to remove
_ATTEMPTS = 100  # each fails only if a sweep comes between making a folder and locking it
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces ``path`` when the block ends, and is removed when the block raises.

    The file has the name of ``path``, by which some writers choose a format, and lies in a private folder beside
    ``path``, which also holds what writers put beside their files. What killed processes left in the folder of
    ``path`` is removed first, once per process.

    Raises:
        OSError: the folder cannot be written to, the disk is full, or ``path`` is there and not a regular file.
    """
    check_target(path)
    _sweep_once(str(path.parent.absolute()))
    with own_folder(path) as folder:
        temporary = folder / path.name
        temporary.touch()
        mode = temporary.stat().st_mode  # the permissions of a new file here; some writers create private files
        with _named(path):
            yield temporary
            temporary.chmod(mode)
            with temporary.open("r+b") as written:  # Windows refuses to flush a file that is open for reading
                os.fsync(written.fileno())
        move(temporary, path)


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """Yield a private folder beside ``path``, removed when the block ends; its lock tells it from a leftover.

    Raises:
        OSError: the folder of ``path`` cannot be written to.
    """
    for _ in range(_ATTEMPTS):
        folder = path.with_name(f".flatrec-{secrets.token_hex(16)}.tmp")
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise type(error)(
                f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
            ) from None
        try:
            with _locked(folder) as state:
                if state == "taken" or not folder.exists() or (folder / _ABANDONED).exists():
                    continue  # another process swept it before it was locked
                yield folder
                return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise OSError(f"cannot write {path}: other processes keep removing its temporary folder; try again")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whose line ends stay as they are, and which appears whole or not at all.

    Raises:
        OSError: as :func:`atomic_write`.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def check_target(path: Path) -> None:
    """Refuse to overwrite anything but a regular file: a folder, a link, a device, a pipe.

    Raises:
        OSError: the path exists and is not a regular file.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:  # the file or its folder does not exist: opening it says what is wrong
        return
    if stat.S_ISREG(mode):
        return
    what = "a symbolic link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
    raise OSError(f"cannot write {path}: it is {what}, not a regular file; choose another name")


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder; what running processes are writing stays."""
    try:
        names = [entry.name for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        # A process that made the folder a moment ago, and locks it only now, must find it gone or marked. Windows
        # deletes no open file, so that there it is removed after the lock is released.
        with _locked(folder / name) as state:
            if state == "locked" and sys.platform == "win32":
                with suppress(OSError):  # a full disk, or an earlier mark
                    (folder / name / _ABANDONED).touch(exist_ok=False)
            elif state == "locked":
                shutil.rmtree(folder / name, ignore_errors=True)
        if state == "locked":
            shutil.rmtree(folder / name, ignore_errors=True)


@lru_cache(maxsize=64)
def _sweep_once(folder: str) -> None:
    sweep(Path(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[_State]:
    """Lock a folder until the block ends, unless another process has locked it or the system has no such locks."""
    try:
        descriptor = _open_for_lock(folder)
    except OSError:  # the folder is gone, or was not made by flatrec
        yield "unsupported"
        return
    try:
        state: _State = "unsupported"
        with suppress(OSError):
            state = "locked" if try_lock(descriptor) else "taken"
        yield state
    finally:
        os.close(descriptor)


def _open_for_lock(folder: Path) -> int:
    """Open the folder itself, or a file in it on Windows, which opens no folders."""
    if sys.platform == "win32":
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the name of the file to an error of writing; numpy reports a full disk as an OSError without a number."""
    try:
        yield
    except OSError as error:
        of_numpy = error.errno is None and "requested and" in str(error)
        if error.filename is not None or (error.errno is None and not of_numpy):
            raise
        reason = "the disk is full" if of_numpy or error.errno in _FULL else error.strerror
        raise OSError(f"cannot write {path}: {reason}; free some space or choose another folder") from None
