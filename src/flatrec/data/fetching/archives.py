"""Unpack archives that are not trusted."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import MANIFEST, drop_from_manifest, update_manifest
from flatrec.utils.messages import clipped

MAX_UNPACKED = 2**31  # bytes of all files of an archive; larger archives may have MAX_RATIO times their own size
MAX_RATIO = 20  # texts shrink to a tenth, arrays of floats hardly; bombs to a thousandth and less
_PIECE = 1 << 20
_ADVICE = "delete it and fetch again"


def check_members(archive: zipfile.ZipFile, name: str, size: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive; ``size`` is the number of its bytes.

    Raises:
        ValueError: they would be too large, a name leads out of the folder, a member is a link, or a name is
            repeated or kept for flatrec.
    """
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    limit = max(MAX_UNPACKED, MAX_RATIO * size)
    if (total := sum(member.file_size for member in members)) > limit:
        raise ValueError(f"{name} would unpack to {total} bytes, but at most {limit} are unpacked")
    names = set()
    for member in members:
        shown, path = repr(clipped(member.filename, 60)), PurePosixPath(member.filename.replace("\\", "/"))
        if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise ValueError(f"{name} holds {shown}, which leads out of the folder; nothing was unpacked")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"{name} holds {shown}, which is a link or no regular file; nothing was unpacked")
        if path.name == MANIFEST:
            raise ValueError(f"{name} holds {shown}, a name that is kept for flatrec; nothing was unpacked")
        if str(path).lower() in names:
            raise ValueError(f"{name} holds {shown} twice; nothing was unpacked")
        names.add(str(path).lower())
    return members


def member_names(archive: Path) -> list[str]:
    """Return the names of the files of an archive.

    Raises:
        ValueError: the archive is damaged or hostile.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            return [member.filename for member in check_members(packed, str(archive), archive.stat().st_size)]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from None


def unpack(archive: Path, out: Path, targets: Mapping[str, str] | None = None) -> list[Path]:
    """Unpack a zip archive into a folder and return its files; each file is complete or not there.

    Each folder with files gets a manifest, by which later damage is noticed.

    Args:
        archive: the archive.
        out: the folder.
        targets: the members to unpack, and their paths in the folder; None unpacks all under their own names.

    Raises:
        ValueError: the archive is damaged or hostile, or a manifest is damaged.
        OSError: the folder cannot be written to.
    """
    paths = []
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in check_members(packed, str(archive), archive.stat().st_size):
                name = member.filename if targets is None else targets.get(member.filename)
                if name is not None:
                    paths.append(_unpack_member(packed, member, out / name.replace("\\", "/"), out))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from None
    for folder in dict.fromkeys(path.parent for path in paths):
        update_manifest(folder, [path.name for path in paths if path.parent == folder], advice=_ADVICE)
    return paths


def _unpack_member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, out: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.parent.resolve().is_relative_to(out.resolve()):  # through a link that is in the folder already
        raise ValueError(f"{path} leads out of {out}; choose another folder")
    drop_from_manifest(path.parent, [path.name], advice=_ADVICE)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for piece in _pieces(packed, member):
            file.write(piece)
    return path


def _pieces(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a member; where reading fails, it is the archive and not the file that is written."""
    try:
        with packed.open(member) as content:
            while piece := content.read(_PIECE):
                yield piece
    except OSError as error:
        raise zipfile.BadZipFile(str(error)) from None
