"""Item images as they come, made into RGB images."""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from flatrec.content.encoders.raw import Raw

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # no format that runs code or fetches files
LARGEST_FILE = 100 * 2**20  # bytes
MOST_PIXELS = 64 * 10**6
ABSENT, BROKEN, TOO_LARGE = "no image", "broken image", "image too large"
ANIMATED, TURNED, CONVERTED = "first frame taken", "turned upright", "colors converted"
ORIENTATION, TURNING = 0x0112, range(2, 9)  # EXIF: the tag, and what of its values turns or mirrors


def listed(folder: Path) -> Mapping[str, Path]:
    """The image file of each item id: the file's name without its ending.

    Of several files with one name the ending decides, in the order of ENDINGS.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name one with an image file an item id")
    ranks = {ending: rank for rank, ending in enumerate(ENDINGS)}
    found: dict[str, tuple[int, Path]] = {}
    for path in folder.iterdir():
        rank = ranks.get(path.suffix.lower())
        if rank is not None and path.is_file():
            found[path.stem] = min(found.get(path.stem, (rank, path)), (rank, path))
    return {name: path for name, (_, path) in found.items()}


@contextmanager
def unwarned() -> Iterator[None]:
    """Inside the block nobody is warned of odd metadata and of sizes, which are judged here.

    For the thread that starts others, not for these: what is to be warned of belongs to the process.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def content(path: Path | None) -> Raw[bytes]:
    """The bytes of an image file, as far as there is one of a sensible size."""
    if path is None:
        return Raw(None, (ABSENT,))
    try:
        if path.stat().st_size > LARGEST_FILE:
            return Raw(None, (TOO_LARGE,))
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Raw(None, (ABSENT,))
    except IsADirectoryError:
        return Raw(None, (BROKEN,))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return Raw(None, (ABSENT,))
        raise
    return Raw(data) if data else Raw(None, (BROKEN,))


def opened(data: bytes) -> Raw[Image.Image]:
    """The image in some bytes: upright, RGB, its first frame, transparent parts white.

    An image that cannot be read to its end, or has more than MOST_PIXELS pixels, which is told from its head before
    anything is unpacked, counts as missing.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return Raw(None, (TOO_LARGE,))
            return _ready(image)
    except Image.DecompressionBombError:
        return Raw(None, (TOO_LARGE,))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError,
            ArithmeticError, RuntimeError, AttributeError):  # fmt: skip
        return Raw(None, (BROKEN,))  # whatever a decoder raises on damage


def _ready(image: Image.Image) -> Raw[Image.Image]:
    remarks = [ANIMATED] if getattr(image, "n_frames", 1) > 1 else []
    turned = image.getexif().get(ORIENTATION) in TURNING
    image.load()
    upright = ImageOps.exif_transpose(image) if turned else image
    remarks += [TURNED] if turned else []
    if upright.mode == "RGB":
        return Raw(upright.copy(), tuple(remarks))
    return Raw(_as_rgb(upright), (*remarks, CONVERTED))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which convert would clip instead of scaling
        return image.convert("F").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")
