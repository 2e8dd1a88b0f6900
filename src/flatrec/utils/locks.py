"""A folder that one process at a time works in."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"

logger = logging.getLogger(__name__)


class InUseError(FileExistsError):
    """Another process works in the folder; whoever can wait, waits."""


@contextmanager
def held(folder: Path, work: str) -> Iterator[None]:
    """Hold a folder against other processes until the block ends; where the system has no such lock, do without.

    Args:
        folder: that is there.
        work: what others do there, for the message: ``trains``.

    Raises:
        InUseError: another process holds it.
        OSError: the folder cannot be written to.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        file = os.fdopen(os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "w")
    except OSError as error:
        raise type(error)(f"cannot write to {folder}: {error.strerror}; choose a folder that is writable") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(f"another process {work} in {folder}; wait for it, or choose another folder") from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            logger.warning("%s cannot be locked; do not start two processes there at once", folder)
        yield
