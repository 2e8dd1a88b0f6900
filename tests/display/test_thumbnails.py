from __future__ import annotations

import io
import os
import sys
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatrec.display import thumbnails as module
from flatrec.display.thumbnails import MAX_BYTES, MOST, SIZE, thumbnail, thumbnails


def saved(path, size=(300, 200), mode="RGB", **settings):
    Image.new(mode, size, settings.pop("color", "red")).save(path, **settings)
    return path


def decoded(address):
    return Image.open(io.BytesIO(b64decode(address.partition(",")[2])))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp"])
def test_an_image_is_made_small_and_keeps_its_color(tmp_path, ending):
    image = decoded(thumbnail(saved(tmp_path / f"one.{ending}")))
    assert image.size == (SIZE, 64)
    assert np.abs(np.subtract(image.convert("RGB").getpixel((9, 9)), (255, 0, 0))).max() < 8


def test_what_is_transparent_stays_so(tmp_path):
    image = decoded(thumbnail(saved(tmp_path / "one.png", mode="RGBA", color=(255, 0, 0, 0))))
    assert image.format == "PNG"
    assert image.convert("RGBA").getpixel((9, 9))[3] == 0


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "CMYK", "P", "LA"])
def test_every_mode_is_shown(tmp_path, mode):
    path = saved(tmp_path / f"one.{'jpg' if mode == 'CMYK' else 'png'}", mode=mode, color=1)
    assert thumbnail(path).startswith("data:image/")


def test_the_busiest_image_has_few_bytes_and_no_metadata(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    path = tmp_path / "noise.jpg"
    Image.fromarray(noise).save(path, quality=100, comment=b"taken at home")
    content = b64decode(thumbnail(path).partition(",")[2])
    assert 0 < len(content) <= MAX_BYTES
    assert b"home" not in content


def test_what_is_no_image_is_blank(tmp_path, monkeypatch):
    whole = saved(tmp_path / "whole.png").read_bytes()
    contents = {"text.png": b"<svg onload='alert(1)'/>", "empty.png": b"", "cut.png": whole[:60], "head.png": whole[:9]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    saved(tmp_path / "one.tiff")
    names = [*contents, "one.tiff", "absent.png", ".", "a\0b.png"]
    assert [thumbnail(tmp_path / name) for name in names] == [""] * len(names)
    monkeypatch.setattr(module, "MAX_PIXELS", 100)
    assert thumbnail(tmp_path / "whole.png") == ""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    assert thumbnail(tmp_path / "whole.png") == ""


def test_an_image_that_claims_to_be_huge_is_never_decoded(tmp_path, monkeypatch):
    huge = bytearray(saved(tmp_path / "one.bmp").read_bytes())
    huge[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    (tmp_path / "huge.bmp").write_bytes(huge)
    monkeypatch.setattr(Image.Image, "thumbnail", lambda *_: pytest.fail("it was decoded"))
    assert thumbnail(tmp_path / "huge.bmp") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert thumbnail(tmp_path / "pipe.png") == ""


def test_only_so_many_files_are_opened(monkeypatch):
    opened = []
    monkeypatch.setattr(module, "thumbnail", lambda path: opened.append(path) or "data:")
    paths = [None, *(Path(f"{number}.png") for number in range(MOST + 40))]
    assert list(thumbnails(paths)) == ["", *["data:"] * MOST, *[""] * 40]
    assert len(opened) == MOST
