"""The record of what was fetched into a folder: ``fetched.json``, and the manifest of the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import drop_from_manifest, is_listed, read_sealed, seal, update_manifest

RECORD = "fetched.json"
_ADVICE = "delete it and fetch again"


class Record:
    """The SHA-256 of each fetched file of a folder.

    Args:
        out: the folder.

    Raises:
        ValueError: ``fetched.json`` is damaged.
    """

    def __init__(self, out: Path) -> None:
        self._out, path = out, out / RECORD
        files = read_sealed(path, advice=_ADVICE).get("files") if path.is_file() else {}
        if not isinstance(files, dict):
            raise ValueError(f"{path} is damaged (it lists no files); {_ADVICE}")
        self._files = {str(name): str(sha256) for name, sha256 in files.items()}

    def has(self, name: str) -> bool:
        """Return True if a file is there as it was fetched.

        Raises:
            OSError: the file cannot be read.
        """
        path = self._out / name
        return path.is_file() and self._files.get(name) == file_hash(path, "sha256")

    def remove_from_manifest(self, name: str) -> None:
        """Remove a file from the manifest before it is replaced.

        Raises:
            ValueError: the manifest is damaged.
            OSError: the folder cannot be written to.
        """
        drop_from_manifest(self._out, [name], advice=_ADVICE)

    def add(self, name: str) -> None:
        """Record a file as it is now.

        Raises:
            OSError: the file cannot be read, or the folder not written to.
        """
        self._files[name] = file_hash(self._out / name, "sha256")
        write_text(self._out / RECORD, seal({"files": dict(sorted(self._files.items()))}) + "\n")

    def add_to_manifest(self, names: Sequence[str]) -> None:
        """List files in the manifest after all of them were fetched.

        Raises:
            ValueError: the manifest is damaged.
            OSError: a file cannot be read, or the folder not written to.
        """
        if new := [name for name in names if not is_listed(self._out, name, advice=_ADVICE)]:
            update_manifest(self._out, new, advice=_ADVICE)


def file_hash(path: Path, kind: str) -> str:
    """Return a digest of a file that is used outside of flatrec, such as ``md5``.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
