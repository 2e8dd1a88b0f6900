"""The record of what was fetched into a folder: ``fetched.json``, and the manifest of the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.checksums import file_hash
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import drop_from_manifest, is_listed, read_sealed, seal, update_manifest

RECORD = "fetched.json"
_ADVICE = "delete it and fetch again"


class Record:
    """The address and the SHA-256 of each fetched file of a folder.

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
        self._files: dict[str, dict[str, str]] = {}
        for name, values in files.items():
            if not isinstance(values, dict):
                raise ValueError(f"{path} is damaged (it has no address of {name[:40]!r}); {_ADVICE}")
            self._files[name] = {key: str(value) for key, value in values.items()}

    def has(self, file: RemoteFile) -> bool:
        """Return True if a file is there as it was fetched.

        Raises:
            OSError: the file cannot be read.
        """
        path, sha256 = self._out / file.name, self.sha256(file)
        return bool(sha256) and path.is_file() and sha256 == file_hash(path, "sha256")

    def sha256(self, file: RemoteFile) -> str:
        """Return the SHA-256 of a file when it was fetched from its address; empty if it was not."""
        values = self._files.get(file.name, {})
        return values.get("sha256", "") if values.get("address") == file.address else ""

    def remove_from_manifest(self, name: str) -> None:
        """Remove a file from the manifest before it is replaced.

        Raises:
            ValueError: the manifest is damaged.
            OSError: the folder cannot be written to.
        """
        drop_from_manifest(self._out, [name], advice=_ADVICE)

    def add(self, file: RemoteFile) -> None:
        """Record a file as it is now.

        Raises:
            OSError: the file cannot be read, or the folder not written to.
        """
        self._files[file.name] = {"address": file.address, "sha256": file_hash(self._out / file.name, "sha256")}
        write_text(self._out / RECORD, seal({"files": dict(sorted(self._files.items()))}) + "\n")

    def add_to_manifest(self, names: Sequence[str]) -> None:
        """List files in the manifest after all of them were fetched.

        Raises:
            ValueError: the manifest is damaged.
            OSError: a file cannot be read, or the folder not written to.
        """
        if new := [name for name in names if not is_listed(self._out, name, advice=_ADVICE)]:
            update_manifest(self._out, new, advice=_ADVICE)
