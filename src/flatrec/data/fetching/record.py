"""What was fetched into a folder: ``fetched.json``, and the manifest by which later damage is found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import drop_from_manifest, is_listed, read_sealed, seal, update_manifest

RECORD = "fetched.json"
_ADVICE = "delete it and fetch again"


class Record:
    """The SHA-256 of each file of a folder that was fetched.

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
        self._files = {str(name): str(found) for name, found in files.items()}

    def knows(self, name: str) -> bool:
        """Whether a file is there as it was fetched.

        Raises:
            OSError: it cannot be read.
        """
        path = self._out / name
        return path.is_file() and self._files.get(name) == file_hash(path, "sha256")

    def begin(self, name: str) -> None:
        """Take a file off the manifest, which is about to be replaced.

        Raises:
            ValueError: the manifest is damaged.
            OSError: the folder cannot be written to.
        """
        drop_from_manifest(self._out, [name], advice=_ADVICE)

    def add(self, name: str) -> None:
        """Remember a file as it is now.

        Raises:
            OSError: it cannot be read, or the folder not written to.
        """
        self._files[name] = file_hash(self._out / name, "sha256")
        write_text(self._out / RECORD, seal({"files": dict(sorted(self._files.items()))}) + "\n")

    def finish(self, names: Sequence[str]) -> None:
        """List files in the manifest, which are all there.

        Raises:
            ValueError: the manifest is damaged.
            OSError: a file cannot be read, or the folder not written to.
        """
        if new := [name for name in names if not is_listed(self._out, name, advice=_ADVICE)]:
            update_manifest(self._out, new, advice=_ADVICE)


def file_hash(path: Path, kind: str) -> str:
    """The digest of a file that is known outside of flatrec, such as ``md5``.

    Raises:
        OSError: it cannot be read.
    """
    found = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
