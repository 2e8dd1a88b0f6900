"""Image files of items, decoded as RGB images."""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from flatrec.content.encoders.base import EncoderInput

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # no format that runs code or fetches files
MAX_FILE_SIZE = 100 * 2**20  # bytes
MAX_PIXELS = 64 * 10**6
ABSENT, BROKEN, TOO_LARGE = "no image", "broken image", "image too large"
ANIMATED, ROTATED, CONVERTED = "first frame taken", "turned upright", "colors converted"
ORIENTATION, ROTATING = 0x0112, range(2, 9)  # EXIF: the tag, and those of its values that rotate or mirror


def list_images(folder: Path) -> Mapping[str, Path]:
    """Return the image file of each item id, which is the file's name without its ending.

    Of several files with one name, the one whose ending comes first in ENDINGS is taken.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name one with one image file per item id")
    ranks = {ending: rank for rank, ending in enumerate(ENDINGS)}
    ranked: dict[str, tuple[int, Path]] = {}
    for path in folder.iterdir():
        rank = ranks.get(path.suffix.lower())
        if rank is not None and path.is_file():
            ranked[path.stem] = min(ranked.get(path.stem, (rank, path)), (rank, path))
    return {name: path for name, (_, path) in ranked.items()}


@contextmanager
def suppress_pillow_warnings() -> Iterator[None]:
    """Silence Pillow's warnings about odd metadata and sizes, which are judged here.

    Call it in the thread that starts others, not in these: the filters of warnings belong to the whole process.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def read_image(path: Path | None) -> EncoderInput[bytes]:
    """Return the bytes of an image file, if it exists and is of a sensible size.

    Raises:
        OSError: the file cannot be read, for example for lack of permission.
    """
    if path is None:
        return EncoderInput(None, (ABSENT,))
    try:
        if path.stat().st_size > MAX_FILE_SIZE:
            return EncoderInput(None, (TOO_LARGE,))
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return EncoderInput(None, (ABSENT,))
    except IsADirectoryError:
        return EncoderInput(None, (BROKEN,))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return EncoderInput(None, (ABSENT,))
        raise
    return EncoderInput(data) if data else EncoderInput(None, (BROKEN,))


def decode_image(data: bytes) -> EncoderInput[Image.Image]:
    """Return the image in these bytes: upright, RGB, its first frame, transparent areas white.

    An image that cannot be read to its end counts as missing, and so does one with more than MAX_PIXELS pixels; the
    size is read from the header, before anything is unpacked.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return EncoderInput(None, (TOO_LARGE,))
            return _to_upright_rgb(image)
    except Image.DecompressionBombError:
        return EncoderInput(None, (TOO_LARGE,))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError,
            ArithmeticError, RuntimeError, AttributeError):  # fmt: skip
        return EncoderInput(None, (BROKEN,))  # whatever a decoder raises on damage


def _to_upright_rgb(image: Image.Image) -> EncoderInput[Image.Image]:
    changes = [ANIMATED] if getattr(image, "n_frames", 1) > 1 else []
    is_rotated = image.getexif().get(ORIENTATION) in ROTATING
    image.load()
    upright = ImageOps.exif_transpose(image) if is_rotated else image
    changes += [ROTATED] if is_rotated else []
    if upright.mode == "RGB":
        return EncoderInput(upright.copy(), tuple(changes))
    return EncoderInput(_as_rgb(upright), (*changes, CONVERTED))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of gray, which convert would clip instead of scaling
        return image.convert("F").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        background = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(background, layer).convert("RGB")
    return image.convert("RGB")
