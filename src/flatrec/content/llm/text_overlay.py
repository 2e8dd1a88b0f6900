"""Words printed on an image."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

SMALLEST, SHARE = 9, 14  # a letter is so many pixels high at least, and otherwise the image's height by so much
MOST_LINES = 4
NO_GLYPH = "letters that the font lacks"


def default_font() -> Path:
    """DejaVu Sans, which Matplotlib brings: Latin, Greek, Cyrillic, Arabic and more, but no Chinese or Japanese."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@dataclass(frozen=True)
class Printer:
    """Prints with a font.

    Args:
        font: a TrueType or OpenType file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no font.
    """

    font: Path

    def __post_init__(self) -> None:
        if not self.font.is_file():
            raise FileNotFoundError(f"{self.font} does not exist; name a .ttf or .otf file")
        try:
            _letters(self.font)
        except RuntimeError as error:
            raise ValueError(f"{self.font} is no font that can be read ({error}); name a .ttf or .otf file") from None

    def lacks(self, text: str) -> bool:
        """Whether the font has no glyph for some letter."""
        return any(ord(letter) not in _letters(self.font) for letter in text if not letter.isspace())

    def printed(self, image: Image.Image, text: str) -> Image.Image:
        """A copy of an RGB image with a text in black on a white band along its lower edge.

        The letters are a fourteenth of the image high. The band takes as much as the text needs, four lines and half
        of the image at most; what does not fit is cut, with three dots.
        """
        size = max(SMALLEST, image.height // SHARE)
        font = ImageFont.truetype(str(self.font), size)
        margin, height = size // 2, round(size * 1.3)
        most = max(1, min(MOST_LINES, (image.height // 2 - margin) // height))
        lines = _lines(text.split(), font, image.width - 2 * margin, most)
        copy = image.copy()
        draw = ImageDraw.Draw(copy)
        top = image.height - len(lines) * height - margin
        draw.rectangle((0, top, image.width, image.height), fill="white")
        for place, line in enumerate(lines):
            draw.text((margin, top + margin // 2 + place * height), line, fill="black", font=font)
        return copy


@lru_cache(maxsize=4)
def _letters(font: Path) -> frozenset[int]:
    return frozenset(FT2Font(str(font)).get_charmap())


def _lines(words: Sequence[str], font: ImageFont.FreeTypeFont, width: int, most: int) -> list[str]:
    lines = list(islice(_broken(words, font, width), most + 1))
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and font.getlength(last + "…") > width:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip() + "…"]


def _broken(words: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    """Lines no wider than that, as far as single letters are not."""
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        while font.getlength(word) > width and len(word) > 1:
            fit = _fitting(word, font, width)
            yield word[:fit]
            word = word[fit:]  # noqa: PLW2901
        line = word
    if line:
        yield line


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """How many letters go on a line, one at least."""
    counts = range(1, len(word))
    return max(1, bisect_right(counts, width, key=lambda count: math.ceil(font.getlength(word[:count]))))
