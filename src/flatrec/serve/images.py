"""Images of the recommender's own items, by item id: no path of a request is ever opened."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from flatrec.serve.checks import item_index
from flatrec.serve.errors import Refused
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits
from flatrec.utils.messages import clipped

PATH = "/v1/images/"
BEGINNINGS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}


class ImageFile(NamedTuple):
    """The bytes of an image, and what they are."""

    content: bytes
    content_type: str


def image_path(prefix: str, item: str, image: Path | None) -> str | None:
    """Return the path at which the service has the image of an item, after the prefix of its recommender, if any."""
    return None if image is None else prefix + PATH + quote(item, safe="")


def item_image(item: str, served: Served, limits: Limits) -> ImageFile:
    """Return the image of an item.

    Raises:
        Refused: the item is not known, has no image, or its file is none, is too large or cannot be read.
    """
    index, images = item_index(served, item, limits), served.recommender.catalog.images
    path = None if images is None else images[index]
    content = None if path is None else _read(path, limits.image_bytes)
    kind = None if content is None else _content_type(content)
    if content is None or kind is None:
        raise Refused(404, f"item {clipped(item)!r} must have an image, but has none that can be shown")
    return ImageFile(content, kind)


def _read(path: Path, most: int) -> bytes | None:
    """Return the bytes of a regular file of a sensible size; None for anything else."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        with path.open("rb") as file:
            return file.read(most)
    except (OSError, ValueError):
        return None


def _content_type(content: bytes) -> str | None:
    """Return what an image is by its first bytes; None if it is no image that browsers show."""
    for beginning, kind in BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return None
