"""A file that is not whole yet, in a folder that others may be able to write to."""

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
class Version:
    """Which version of a file a part is of.

    Args:
        etag: what the server calls it; empty where it cannot be gone on with.
        length: of the whole file; None where the server does not say.
    """

    etag: str = ""
    length: int | None = None


@dataclass(frozen=True)
class Split:
    """What has come of a file: ``NAME.part``, and ``NAME.part.json``, which says of which version.

    What is there under these names and was not written by this user, such as a link to another file, is not followed
    and not written to, but removed.

    Args:
        file: which.
        out: the folder.
    """

    file: RemoteFile
    out: Path

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self.out / f"{self.file.name}.part"

    @property
    def _mark(self) -> Path:
        return self.out / f"{self.file.name}.part.json"

    @property
    def size(self) -> int:
        """Bytes that can be gone on with."""
        try:
            descriptor = self._reopened()
        except OSError:
            return 0
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    @property
    def version(self) -> Version:
        """Of which version they are, as far as that can be read."""
        try:
            if not stat.S_ISREG(self._mark.lstat().st_mode):
                return Version()
            found = read_sealed(self._mark, advice="fetch it again")
        except (OSError, ValueError):
            return Version()
        etag, length = found.get("etag"), found.get("length")
        return Version(etag if isinstance(etag, str) else "", length if isinstance(length, int) else None)

    def begin(self, version: Version) -> None:
        """Forget what there is for the sake of another version.

        In this order, so that a kill in between never leaves bytes of one version with the mark of another.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.forget()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
        os.close(os.open(self.path, flags, 0o666))
        write_text(self._mark, seal(asdict(version)) + "\n")

    @contextmanager
    def appending(self, start: int) -> Iterator[Callable[[bytes], None]]:
        """What it gives appends to the part, which must be as long as was thought.

        Raises:
            ConnectionError: it is not.
            OSError: it cannot be written to, or the disk is full.
        """
        descriptor = self._reopened()
        try:
            if os.fstat(descriptor).st_size != start:
                raise ConnectionError(f"another process changed {self.path}")
            yield lambda data: self._write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def forget(self) -> None:
        """Remove it.

        Raises:
            OSError: it cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def _reopened(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | _SAFELY)
        found = os.fstat(descriptor)
        ours = sys.platform == "win32" or found.st_uid == os.geteuid()
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and ours:
            return descriptor
        os.close(descriptor)
        raise OSError(f"{self.path} is none of ours; remove it, or choose another folder")

    def _write(self, descriptor: int, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            reason = "the disk is full" if error.errno in _FULL else error.strerror
            raise OSError(
                f"cannot write {self.path}: {reason}; free some space, and the same command goes on"
            ) from None
