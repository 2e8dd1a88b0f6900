"""Locks between processes, on folders; the system releases them when a process ends, however it ends."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)

logger = logging.getLogger(__name__)


class InUseError(FileExistsError):
    """Another process works in the folder; the caller may wait for it."""


@contextmanager
def lock_folder(folder: Path, work: str) -> Iterator[None]:
    """Lock a folder against other processes until the block ends; a file system without locks is only warned about.

    ``work`` is what the other process does there, for the message, such as ``trains``.

    Raises:
        InUseError: another process has locked the folder.
        OSError: the folder cannot be written to.
    """
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag
    try:
        descriptor = os.open(folder / LOCK, flags, 0o666)
    except OSError as error:
        raise type(error)(f"cannot write to {folder}: {error.strerror}; choose a folder that is writable") from None
    try:
        try:
            acquired = try_lock(descriptor)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            logger.warning("%s cannot be locked; do not start two processes there at once", folder)
            acquired = True
        if not acquired:
            raise InUseError(f"another process {work} in {folder}; wait for it, or choose another folder")
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed, without waiting; return False if another process has locked it.

    Raises:
        OSError: the file system has no locks.
    """
    from filelock import lock_descriptor  # takes 30 ms to import

    return lock_descriptor(descriptor, blocking=False)
