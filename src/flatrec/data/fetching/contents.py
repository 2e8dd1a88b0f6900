"""Check whether a downloaded file is complete, as far as its format shows it; unpack archives."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from flatrec.data.amazon.images import RECORD
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import drop_from_manifest, update_manifest

MAX_UNPACKED = 2**31  # bytes of all files of an archive
_PIECE = 1 << 20
_ADVICE = "delete it and fetch again"


def has_end_marker(name: str) -> bool:
    """Return True if :func:`check_contents` notices when a file of that name is cut short."""
    return name.endswith((".gz", ".zip"))


def check_contents(path: Path, name: str) -> None:
    """Refuse an empty file, and a compressed one that cannot be read to its end; its name shows the format.

    Raises:
        ValueError: the file is empty or damaged.
    """
    if not path.stat().st_size:
        raise ValueError(f"{name} is empty; fetch it again")
    if name.endswith(".b") and path.stat().st_size % RECORD:
        raise ValueError(f"{name} is not a whole number of records of {RECORD} bytes; fetch it again")
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
    """Unpack a zip archive into a folder and return its files; each file is complete or not there.

    Each folder with files gets a manifest, by which later damage is noticed.

    Raises:
        ValueError: the archive is damaged or too large, a name leads out of the folder, or a manifest is damaged.
        OSError: the folder cannot be written to.
    """
    paths = []
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > MAX_UNPACKED:
                raise ValueError(f"{archive} would unpack to more than {MAX_UNPACKED} bytes")
            for member in members:
                path = (out / member.filename).resolve()
                if not path.is_relative_to(out.resolve()):
                    raise ValueError(f"{archive} holds {member.filename!r}, which leads out of {out}")
                path.parent.mkdir(parents=True, exist_ok=True)
                drop_from_manifest(path.parent, [path.name], advice=_ADVICE)
                with atomic_write(path) as temporary:
                    temporary.write_bytes(packed.read(member))
                paths.append(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from None
    for folder in dict.fromkeys(path.parent for path in paths):
        update_manifest(folder, [path.name for path in paths if path.parent == folder], advice=_ADVICE)
    return paths
