"""Digests: what is read is what was written.

A digest lies inside each file that is replaced in one piece, so that a kill cannot part the two; a manifest lists the
digests of a folder's files once the folder is finished. XXH3 (128 bits) is used because it runs at the speed of memory
(32 GB/s where SHA-256 runs at 2 GB/s). It finds damage of any kind; it is no protection against somebody who forges a
file and its digest together, which is why everything that is loaded is checked for its meaning as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy import ndarray

from flatrec.files import write_text

MANIFEST = "flatrec-manifest.json"
FORMAT = "flatrec manifest 1"
KEY = "digest"  # of a sealed JSON object; its last one
COMMENT = "# digest: "  # begins the last line of a sealed text
_CHUNK = 2**22


def digest(*parts: ndarray | bytes | int | float | str) -> str:
    """A digest that tells apart any two sequences: each part comes after its type, shape and length. O(bytes)."""
    state = xxhash.xxh3_128()
    for part in parts:
        if isinstance(part, ndarray):
            label = f"array {part.dtype.str} {part.shape}"
            content = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
        else:
            label = type(part).__name__
            content = memoryview(part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass"))
        for piece in (memoryview(label.encode()), content):
            state.update(len(piece).to_bytes(8, "little"))
            state.update(piece)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """The digest of a file's bytes, read in portions.

    Raises:
        OSError: the file cannot be read.
    """
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while portion := file.read(_CHUNK):
            state.update(portion)
    return state.hexdigest()


def seal(values: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """A JSON object as text, with a digest of its content as its last key.

    Args:
        values: what JSON can say; no key may be ``digest``.
        indent: as for ``json.dumps``; None for one line.

    Raises:
        ValueError: a number is infinite or not a number.
    """
    return json.dumps({**values, KEY: _of_json(values)}, indent=indent, ensure_ascii=False, allow_nan=False)


def unseal(text: str, where: Path | str, *, advice: str) -> dict[str, Any]:
    """The object that :func:`seal` wrote, without its digest.

    Args:
        text: the JSON text.
        where: what messages call it: a file.
        advice: what the user can do where it is damaged, such as ``train again with --overwrite``.

    Raises:
        ValueError: not a JSON object, without a digest, or not as it was written.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{where} is damaged ({reason}); {advice}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{where} is damaged (it holds no JSON object); {advice}")
    if KEY not in values:
        raise ValueError(
            f"{where} has no digest: it was edited, or written by a flatrec older than digests, whose files are not "
            f"taken any more; {advice}"
        )
    found = values.pop(KEY)
    if found != _of_json(values):
        raise ValueError(f"{where} is damaged or was edited (its digest does not fit its content); {advice}")
    return values


def read_sealed(path: Path, *, advice: str) -> dict[str, Any]:
    """:func:`unseal` for a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    return unseal(read_text(path, advice=advice), path, advice=advice)


def read_text(path: Path, *, advice: str) -> str:
    """A UTF-8 text file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged (byte {error.start} is not UTF-8 text); {advice}") from None


def seal_text(text: str) -> str:
    """A text whose comments begin with ``#``, such as TOML, with its digest as a last comment."""
    text = text if text.endswith("\n") else text + "\n"
    return f"{text}{COMMENT}{digest(text)}\n"


def check_text(text: str, where: Path | str, *, advice: str) -> None:
    """Make sure that a text is as :func:`seal_text` wrote it.

    Raises:
        ValueError: it has no digest, or is not as it was written.
    """
    body, comment, found = text.rpartition(COMMENT)
    if not comment:
        raise ValueError(
            f"{where} has no digest: it was edited, or written by a flatrec older than digests, whose files are not "
            f"taken any more; {advice}"
        )
    if found != f"{digest(body)}\n":
        raise ValueError(f"{where} is damaged or was edited (its digest does not fit its content); {advice}")


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """List the digests of a finished folder's files; written last of all, in one piece.

    Args:
        folder: holds the files.
        names: paths within the folder, with ``/``.

    Raises:
        OSError: a file cannot be read, or the folder not written to.
    """
    _write_manifest(folder, {name: file_digest(folder / name) for name in names})


def check_manifest(folder: Path, *, advice: str) -> None:
    """Make sure that a folder's files are those of its manifest; a folder without one is not finished, or not ours.

    Args:
        folder: the folder.
        advice: what the user can do where something is damaged.

    Raises:
        ValueError: the manifest or a file is damaged, or a file is gone.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return
    for name, expected in _listed(path, advice).items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"{file} is gone, though {MANIFEST} beside it lists it; {advice}")
        if file_digest(file) != expected:
            raise ValueError(f"{file} is damaged or was changed since it was written; {advice}")


@contextmanager
def changing(folder: Path, names: Iterable[str]) -> Iterator[None]:
    """Keep a folder's manifest true while some of its files are written anew in the block.

    Before, the files are taken off the manifest, so that after a kill they are not judged; afterwards those that are
    there are listed again. Files that it did not list stay unlisted; a folder without a manifest stays without.

    Raises:
        ValueError: the manifest is damaged.
        OSError: it cannot be written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        yield
        return
    files = _listed(path, "delete it to use the files as they are")
    written = [name for name in names if name in files]
    if not written:
        yield
        return
    rest = {name: value for name, value in files.items() if name not in written}
    _write_manifest(folder, rest)
    try:
        yield
    finally:
        there = {name: file_digest(folder / name) for name in written if (folder / name).is_file()}
        _write_manifest(folder, rest | there)


def _listed(path: Path, advice: str) -> dict[str, Any]:
    files = read_sealed(path, advice=advice).get("files")
    if not isinstance(files, dict):
        raise ValueError(f"{path} is damaged (it lists no files); {advice}")
    return files


def _write_manifest(folder: Path, files: Mapping[str, str]) -> None:
    write_text(folder / MANIFEST, seal({"format": FORMAT, "files": dict(sorted(files.items()))}) + "\n")


def _of_json(values: Mapping[str, Any]) -> str:
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False))
