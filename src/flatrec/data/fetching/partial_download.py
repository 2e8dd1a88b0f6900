"""A file that is not complete yet, in a folder to which other users may be able to write."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from flatrec.data.fetching.catalog import RemoteFile
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import read_sealed, seal

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class FileVersion:
    """The version of a file."""

    etag: str = ""  # the name that the server gives to the version; empty if the download cannot be resumed
    length: int | None = None  # the length of the whole file; None if the server does not say


@dataclass(frozen=True)
class PartialDownload:
    """The first bytes of a file in ``NAME.part``, and its version in ``NAME.part.json``.

    What has these names and was not written by this user, such as a link to another file, is never followed or written
    to, but removed.
    """

    file: RemoteFile  # the file
    out: Path  # the folder

    @property
    def path(self) -> Path:
        """The path of the bytes."""
        return self.out / f"{self.file.published_name}.part"

    @property
    def _mark(self) -> Path:
        return self.out / f"{self.file.published_name}.part.json"

    @property
    def size(self) -> int:
        """The number of bytes that are there."""
        try:
            descriptor = self._reopened()
        except OSError:
            return 0
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    @property
    def version(self) -> FileVersion:
        """The version of the bytes; an empty one if it cannot be read."""
        try:
            if not stat.S_ISREG(self._mark.lstat().st_mode):
                return FileVersion()
            values = read_sealed(self._mark, advice="fetch it again")
        except (OSError, ValueError):
            return FileVersion()
        etag, length = values.get("etag"), values.get("length")
        return FileVersion(etag if isinstance(etag, str) else "", length if isinstance(length, int) else None)

    def start(self, version: FileVersion) -> None:
        """Discard the bytes that are there, and start with another version.

        The order of the steps ensures that a kill never leaves bytes of one version with the name of another.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.discard()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
        os.close(os.open(self.path, flags, 0o666))
        write_text(self._mark, seal(asdict(version)) + "\n")

    @contextmanager
    def appending(self, start: int) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that appends bytes, if there are ``start`` bytes already.

        Raises:
            ConnectionError: there are more or fewer bytes.
            OSError: the file cannot be written to, or the disk is full.
        """
        descriptor = self._reopened()
        try:
            if os.fstat(descriptor).st_size != start:
                raise ConnectionError(f"another process changed {self.path}")
            yield lambda data: self._write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Remove the bytes and their version.

        Raises:
            OSError: a file cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def _reopened(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | _SAFELY)
        status = os.fstat(descriptor)
        ours = sys.platform == "win32" or status.st_uid == os.geteuid()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and ours:
            return descriptor
        os.close(descriptor)
        raise OSError(f"{self.path} was not written by flatrec; remove it, or choose another folder")

    def _write(self, descriptor: int, data: bytes) -> None:
        remaining = memoryview(data)
        try:
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
        except OSError as error:
            reason = "the disk is full" if error.errno in _FULL else error.strerror
            raise OSError(
                f"cannot write {self.path}: {reason}; free some space, and run the same command again to resume"
            ) from None
