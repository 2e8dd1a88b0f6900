"""Whether a downloaded file is whole, as far as its format tells; and what is in an archive."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from flatrec.files import replacing

LARGEST = 2**31  # bytes that an archive may unpack to
_PIECE = 1 << 20


def check_contents(path: Path, name: str) -> None:
    """Read a compressed file to its end.

    Args:
        path: where it is.
        name: by which its format is told, and what messages call it.

    Raises:
        ValueError: it is damaged.
    """
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

    Raises:
        ValueError: damaged, too large, or a name that leads out of the folder.
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
                with replacing(path) as temporary:
                    temporary.write_bytes(packed.read(one))
                paths.append(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from None
    return paths
