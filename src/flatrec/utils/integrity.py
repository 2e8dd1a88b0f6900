"""Digests, by which damaged and edited files are noticed.

A file that is replaced in one piece contains its own digest, so that a kill cannot separate the two; a manifest lists
the digests of the files of a finished folder. XXH3 (128 bits) is used because it runs at the speed of memory
(32 GB/s where SHA-256 runs at 2 GB/s). It finds damage of any kind; it does not protect against somebody who forges
a file together with its digest, which is why everything that is loaded is checked for its meaning as well.

``advice`` ends a message about damage, such as ``train again with --overwrite``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy import ndarray

from flatrec.utils.atomic_write import write_text

MANIFEST = "flatrec-manifest.json"
FORMAT = "flatrec manifest 1"
KEY = "digest"  # the last key of a sealed JSON object
COMMENT = "# digest: "  # the beginning of the last line of a sealed text
_CHUNK = 2**22
_NO_DIGEST = "no digest: it was edited, or written by a flatrec from before digests, whose files are not read any more"


def digest(*values: ndarray | bytes | int | float | str) -> str:
    """Return the digest of a sequence of values; type, shape and length of each value count, too. O(bytes)."""
    state = xxhash.xxh3_128()
    for value in values:
        if isinstance(value, ndarray):
            label = f"array {value.dtype.str} {value.shape}"
            content = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        else:
            label = type(value).__name__
            content = memoryview(value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass"))
        for piece in (memoryview(label.encode()), content):
            state.update(len(piece).to_bytes(8, "little"))
            state.update(piece)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Return the digest of the bytes of a file, which is read in portions.

    Raises:
        OSError: the file cannot be read.
    """
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while portion := file.read(_CHUNK):
            state.update(portion)
    return state.hexdigest()


def seal(values: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Return a JSON object as text, with the digest of its content as its last key, which ``values`` must not have.

    Raises:
        ValueError: a number is infinite or not a number.
    """
    return json.dumps({**values, KEY: _json_digest(values)}, indent=indent, ensure_ascii=False, allow_nan=False)


def unseal(text: str, where: Path | str, *, advice: str) -> dict[str, Any]:
    """Return the object that :func:`seal` wrote, without its digest; ``where`` is the name of the text in messages.

    Raises:
        ValueError: it is not a JSON object, has no digest, or was changed since it was written.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not JSON"
        raise ValueError(f"{where} is damaged ({reason}); {advice}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{where} is damaged (it holds no JSON object); {advice}")
    if KEY not in values:
        raise ValueError(f"{where} has {_NO_DIGEST}; {advice}")
    stored = values.pop(KEY)
    if not _fits(values, stored):
        raise ValueError(f"{where} is damaged or was edited (its digest does not fit its content); {advice}")
    return values


def read_sealed(path: Path, *, advice: str) -> dict[str, Any]:
    """Return the object of a file that :func:`seal` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    return unseal(read_text(path, advice=advice), path, advice=advice)


def read_text(path: Path, *, advice: str) -> str:
    """Read a UTF-8 text file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged (byte {error.start} is not UTF-8 text); {advice}") from None


def seal_text(text: str) -> str:
    """Return a text whose comments begin with ``#``, such as TOML, with its digest as the last comment."""
    text = text if text.endswith("\n") else text + "\n"
    return f"{text}{COMMENT}{digest(text)}\n"


def check_text(text: str, where: Path | str, *, advice: str) -> None:
    """Refuse a text that was changed since :func:`seal_text` wrote it.

    Raises:
        ValueError: the text has no digest, or was changed.
    """
    body, comment, stored = text.rpartition(COMMENT)
    if not comment:
        raise ValueError(f"{where} has {_NO_DIGEST}; {advice}")
    if stored != f"{digest(body)}\n":
        raise ValueError(f"{where} is damaged or was edited (its digest does not fit its content); {advice}")


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write the manifest of a finished folder, its last file; ``names`` are paths within the folder, with ``/``.

    Raises:
        OSError: a file cannot be read, or the folder not written to.
    """
    _write(folder, {name: file_digest(folder / name) for name in names})


def check_manifest(folder: Path, *, advice: str) -> None:
    """Refuse a folder whose files are not those of its manifest; a folder without a manifest is not checked.

    Raises:
        ValueError: the manifest or a file is damaged, or a file is missing.
    """
    for name, expected in (_listed(folder, advice) or {}).items():
        _check_file(folder / name, expected, advice)


def update_manifest(folder: Path, names: Iterable[str], *, advice: str) -> None:
    """Add files to a manifest after they were written; the digests of other files stay as they are.

    Raises:
        ValueError: the manifest is damaged.
        OSError: a file cannot be read, or the folder not written to.
    """
    new = {name: file_digest(folder / name) for name in names}
    _write(folder, {**(_listed(folder, advice) or {}), **new})


def drop_from_manifest(folder: Path, names: Iterable[str], *, advice: str) -> None:
    """Remove files from a manifest before they are replaced: until they are listed again, the folder is not finished.

    A folder without a manifest gets one.

    Raises:
        ValueError: the manifest is damaged.
        OSError: the folder cannot be written to.
    """
    listed, dropped = _listed(folder, advice), set(names)
    if listed is None or dropped.intersection(listed):
        _write(folder, {name: stored for name, stored in (listed or {}).items() if name not in dropped})


def check_listed(folder: Path, names: Iterable[str], *, advice: str) -> None:
    """Make sure that some files of a folder are those of its manifest, if it has one.

    Raises:
        ValueError: the manifest or a file is damaged, a file is gone, or not listed, as what wrote it was stopped.
    """
    listed = _listed(folder, advice)
    if listed is None:
        return
    for name in names:
        if name not in listed:
            raise ValueError(f"{folder} is not finished ({MANIFEST} does not list {name}); {advice}")
        _check_file(folder / name, listed[name], advice)


def listed_names(folder: Path, *, advice: str) -> frozenset[str]:
    """Return the names of the files that the manifest of a folder lists; none if there is no manifest.

    Raises:
        ValueError: the manifest is damaged.
    """
    return frozenset(_listed(folder, advice) or ())


def is_listed(folder: Path, name: str, *, advice: str) -> bool:
    """Return True if the manifest of a folder lists a file.

    Raises:
        ValueError: the manifest is damaged.
    """
    return name in (_listed(folder, advice) or {})


def _listed(folder: Path, advice: str) -> dict[str, object] | None:
    """Return the digests in the manifest of a folder by name; None if there is no manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    files = read_sealed(path, advice=advice).get("files")
    if not isinstance(files, dict):
        raise ValueError(f"{path} is damaged (it lists no files); {advice}")
    return files


def _check_file(file: Path, expected: object, advice: str) -> None:
    if not file.is_file():
        raise ValueError(f"{file} is missing, though {MANIFEST} beside it lists it; {advice}")
    if file_digest(file) != expected:
        raise ValueError(f"{file} is damaged or was changed since it was written; {advice}")


def _write(folder: Path, files: Mapping[str, object]) -> None:
    ordered = {name: files[name] for name in sorted(files)}
    write_text(folder / MANIFEST, seal({"format": FORMAT, "files": ordered}) + "\n")


def _fits(values: Mapping[str, Any], stored: object) -> bool:
    try:
        return stored == _json_digest(values)
    except ValueError:  # NaN or infinity, which seal does not write
        return False


def _json_digest(values: Mapping[str, Any]) -> str:
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False))
