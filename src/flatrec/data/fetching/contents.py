"""Whether a downloaded file is whole, as far as its format tells; and what is in an archive."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from flatrec.data.amazon.images import RECORD
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import drop_from_manifest, update_manifest

LARGEST = 2**31  # bytes that an archive may unpack to
_PIECE = 1 << 20
_ADVICE = "delete it and fetch again"


def has_end_marker(name: str) -> bool:
    """Whether a file of that name cannot be cut short without :func:`check_contents` noticing."""
    return name.endswith((".gz", ".zip"))


def check_contents(path: Path, name: str) -> None:
    """Make sure that a file is not empty, and read a compressed one to its end.

    Args:
        path: where it is.
        name: by which its format is told, and what messages call it.

    Raises:
        ValueError: it is empty or damaged.
    """
    if not path.stat().st_size:
        raise ValueError(f"{name} is empty; fetch it again")
    if name.endswith(".b") and path.stat().st_size % RECORD:
        raise ValueError(f"{name} is no whole number of records of {RECORD} bytes; fetch it again")
    try:
        if name.endswith(".gz"):
            with gzip.open(path) as file:
                while file.read(_PIECE):
                    pass
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"{name} is damaged at {damaged}; fetch it again")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name} is damaged ({error}); fetch it again") from None


def unpack(archive: Path, out: Path) -> list[Path]:
    """The files of a zip archive in its own folders below another folder, each whole or not there.

    Each of these folders gets a manifest, by which later damage is found.

    Raises:
        ValueError: damaged, too large, or a name that leads out of the folder; or a manifest there is damaged.
        OSError: the folder cannot be written to.
    """
    paths = []
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [one for one in packed.infolist() if not one.is_dir()]
            if sum(one.file_size for one in members) > LARGEST:
                raise ValueError(f"{archive} would unpack to more than {LARGEST} bytes")
            for one in members:
                path = (out / one.filename).resolve()
                if not path.is_relative_to(out.resolve()):
                    raise ValueError(f"{archive} holds {one.filename!r}, which leads out of {out}")
                path.parent.mkdir(parents=True, exist_ok=True)
                drop_from_manifest(path.parent, [path.name], advice=_ADVICE)
                with atomic_write(path) as temporary:
                    temporary.write_bytes(packed.read(one))
                paths.append(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from None
    for folder in dict.fromkeys(path.parent for path in paths):
        update_manifest(folder, [path.name for path in paths if path.parent == folder], advice=_ADVICE)
    return paths
