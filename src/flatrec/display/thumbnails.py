"""Small copies of image files, as addresses that hold the image itself."""

from __future__ import annotations

import io
import stat
import warnings
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

SIZE = 96  # pixels of the longer side
MOST = 60  # images of one page
MAX_FILE_BYTES = 20_000_000  # a larger file is not opened
MAX_PIXELS = 40_000_000  # a larger image is not decoded
MAX_BYTES = 20_000  # of a thumbnail; 96 x 96 pixels seldom need more than 5,000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def thumbnails(paths: Sequence[Path | None]) -> Iterator[str]:
    """Yield the address of a thumbnail for each path, empty for an image that is missing or cannot be shown.

    At most 60 files are opened; all others count as missing.
    """
    n_opened = 0
    for path in paths:
        if path is None or n_opened == MOST:
            yield ""
            continue
        n_opened += 1
        yield thumbnail(path)


def thumbnail(path: Path) -> str:
    """Return an image as a ``data:`` address of at most 20,000 bytes; empty if the file is no image that can be shown.

    Files of more than 20 MB and images of more than 40 million pixels are not decoded, and whatever is no regular file
    is not opened.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            return ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of sizes that are refused here anyway
            content = _small(path)
    except Exception:  # damaged files make pillow raise errors of many kinds, which have no class in common
        return ""
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{b64encode(content).decode()}" if 0 < len(content) <= MAX_BYTES else ""


def _small(path: Path) -> bytes:
    """Return the image as a small JPEG file, or PNG if it is transparent, without metadata; nothing if too large."""
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            return b""
        image.draft("RGB", (SIZE, SIZE))  # a JPEG file is decoded at about this size
        image.thumbnail((SIZE, SIZE))
        transparent, file = image.has_transparency_data, io.BytesIO()
        small = image.convert("RGBA" if transparent else "RGB")
    small.info.clear()  # comments and the like, which would be saved too
    if transparent:
        small.quantize(64).save(file, "PNG", optimize=True)
    else:
        small.save(file, "JPEG", quality=82)
    return file.getvalue()
