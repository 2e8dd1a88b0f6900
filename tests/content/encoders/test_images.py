"""What is seen of an image."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from flatrec.content.encoders.images import (
    ABSENT,
    ANIMATED,
    BROKEN,
    CONVERTED,
    MAX_FILE_SIZE,
    ROTATED,
    TOO_LARGE,
    decode_image,
    list_images,
    read_image,
)

RED = (255, 0, 0)


def saved(image, kind, **more):
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def color(found):
    return tuple(np.asarray(found.value).reshape(-1, 3).mean(axis=0).round().astype(int).tolist())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_image_in_order_stays_as_it_is(kind):
    more = {"lossless": True} if kind == "WEBP" else {}
    found = decode_image(saved(Image.new("RGB", (6, 4), RED), kind, **more))
    assert found.warnings == ()
    assert found.value.size == (6, 4)
    assert color(found) == RED


def test_cmyk_palette_grey_and_transparency_become_rgb():
    cmyk = decode_image(saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG"))
    assert max(abs(a - b) for a, b in zip(color(cmyk), RED, strict=True)) < 4
    palette = decode_image(saved(Image.new("RGB", (4, 4), RED).convert("P"), "PNG"))
    grey = decode_image(saved(Image.new("L", (4, 4), 100), "PNG"))
    clear = decode_image(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"))
    deep = decode_image(saved(Image.fromarray(np.full((4, 4), 25_700, dtype=np.uint16)), "PNG"))
    assert color(palette) == RED
    assert color(grey) == (100, 100, 100)
    assert color(clear) == (255, 255, 255)
    assert color(deep) == (100, 100, 100)
    assert {one.warnings for one in (cmyk, palette, grey, clear, deep)} == {(CONVERTED,)}


def test_a_turned_image_is_put_upright():
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    found = decode_image(saved(image, "JPEG", exif=exif))
    assert found.value.size == (4, 6)
    assert found.warnings == (ROTATED,)


@pytest.mark.parametrize("value", [0, 1, 9, 65535, b"\x12\x01\x02\0\x02\0\0\x006\0\0\0"])
def test_what_turns_nothing_is_not_said_to(value):
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = value
    if isinstance(value, bytes):  # a text
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + value + bytes(4)
    found = decode_image(saved(image, "JPEG", exif=exif))
    assert found.value.size == (6, 4)
    assert found.warnings == ()


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (4, 4), one) for one in (RED, (0, 0, 255))]
    found = decode_image(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert color(found) == RED
    assert ANIMATED in found.warnings


def bomb():
    """A PNG of a few bytes that says it is 30,000 pixels wide and high."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_not_unpacked():
    assert decode_image(bomb()).warnings == (TOO_LARGE,)


@pytest.mark.parametrize(
    "data",
    [
        b"no image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        b"%PDF-1.4",
        b"\x89PNG\r\n\x1a\n",
        saved(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:-500],
        saved(Image.effect_noise((64, 64), 50).convert("RGB"), "PNG")[:-500],
    ],
)
def test_a_broken_image_is_missing(data):
    found = decode_image(data)
    assert found.value is None
    assert found.warnings == (BROKEN,)


WHOLE = saved(Image.effect_noise((24, 24), 50).convert("RGB"), "JPEG")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@given(some.integers(0, len(WHOLE) - 1), some.binary(min_size=1, max_size=20))
def test_damage_anywhere_is_no_crash(place, damage):
    found = decode_image(WHOLE[:place] + damage + WHOLE[place + len(damage) :])
    assert (found.value is None) == any(one in (BROKEN, TOO_LARGE) for one in found.warnings)


def test_files_are_found_by_the_id_they_are_named_by(tmp_path):
    for name in ("1.jpg", "1.png", "2.JPEG", "a b.webp", "x.y.png", "3.txt", "4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "5.jpg").mkdir()
    found = list_images(tmp_path)
    assert {key: path.name for key, path in found.items()} == {
        "1": "1.jpg",
        "2": "2.JPEG",
        "a b": "a b.webp",
        "x.y": "x.y.png",
    }


def test_a_folder_that_is_none_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list_images(tmp_path / "nowhere")


def test_files_that_are_absent_empty_or_huge_are_missing(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MAX_FILE_SIZE + 1)
    assert read_image(None).warnings == (ABSENT,)
    assert read_image(tmp_path / "none.jpg").warnings == (ABSENT,)
    assert read_image(tmp_path / "empty.jpg").warnings == (BROKEN,)
    assert read_image(tmp_path / "huge.jpg").warnings == (TOO_LARGE,)
