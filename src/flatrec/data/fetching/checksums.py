"""Whether a file is what its publisher states, or what it was at the first download."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.web import read_small

_NAMES = {"md5": "MD5", "git": "Git blob id", "sha256": "SHA-256"}


def check_stated(path: Path, file: RemoteFile) -> bool:
    """Compare size and checksum of a file with those that its publisher states; return False if it states no checksum.

    Raises:
        ConnectionError: the published MD5 cannot be read.
        ValueError: the file differs.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise ValueError(f"{file.name} has {size} bytes, but its publisher says {file.size}; fetch it again")
    stated = file.checksum or _published_md5(file.md5_address)
    if not stated:
        return False
    kind, _, expected = stated.partition(":")
    if (actual := file_hash(path, kind)) != expected:
        raise ValueError(f"{file.name} has {_NAMES[kind]} {actual}, but its publisher says {expected}; fetch it again")
    return True


def check_recorded(path: Path, file: RemoteFile, recorded: str, out: Path) -> None:
    """Compare a file with the SHA-256 of the first download, where there was one.

    Raises:
        ValueError: the file differs.
    """
    if recorded and (actual := file_hash(path, "sha256")) != recorded:
        raise ValueError(
            f"{file.name} has SHA-256 {actual}, but had {recorded} at the first download: its publisher replaced it, "
            f"or it was damaged on its way; delete {out / 'fetched.json'} to accept the new file"
        )


def file_hash(path: Path, kind: str) -> str:
    """Return a digest of a file that is used outside of flatrec: ``md5``, ``sha256`` or ``git``, the id of a Git blob.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    if kind == "git":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def with_md5_of(source: Path, file: RemoteFile) -> RemoteFile:
    """Return a file with the MD5 that a folder holds beside it, or without one, so that no server is asked.

    Raises:
        ValueError: what the folder holds is no MD5.
    """
    path = source / file.md5_address.rsplit("/", 1)[-1]
    md5 = _md5_in(path.read_bytes()[:1000], str(path)) if file.md5_address and path.is_file() else ""
    return replace(file, md5_address="", checksum=file.checksum or md5)


def _published_md5(address: str) -> str:
    return _md5_in(read_small(address, 1000), address) if address else ""


def _md5_in(content: bytes, where: str) -> str:
    """Return an MD5 that is written as ``MD5 (name) = digits`` or ``digits  name``."""
    words = content.decode("ascii", errors="replace").split()
    digests = [word.lower() for word in words if len(word) == 32 and not word.strip("0123456789abcdefABCDEF")]
    if not digests:
        raise ValueError(f"{where} holds no MD5")
    return f"md5:{digests[0]}"
