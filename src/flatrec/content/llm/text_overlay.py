"""Text on a band at the lower edge of an image."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from flatrec.utils.optional import require_extra

MIN_FONT_SIZE = 9  # pixels
FONT_FRACTION = 14  # the height of the image divided by that of a letter
MAX_LINES = 4
NO_GLYPH = "letters that the font lacks"


def default_font() -> Path:
    """Return the path of DejaVu Sans: Latin, Greek, Cyrillic, Arabic and more, but no Chinese or Japanese.

    Raises:
        ImportError: Matplotlib, which contains the font, is not installed.
    """
    return Path(require_extra("matplotlib", "llm").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@dataclass(frozen=True)
class TextOverlay:
    """Draws text on images.

    Args:
        font: a TrueType or OpenType file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no font.
        ImportError: Matplotlib, which reads the font's letters, is not installed.
    """

    font: Path

    def __post_init__(self) -> None:
        if not self.font.is_file():
            raise FileNotFoundError(f"{self.font} does not exist; name a .ttf or .otf file")
        try:
            _letters(self.font)
        except RuntimeError as error:
            raise ValueError(f"{self.font} is no font that can be read ({error}); name a .ttf or .otf file") from None

    def has_missing_glyphs(self, text: str) -> bool:
        """Return True if the font lacks a glyph for some letter of the text."""
        return any(ord(letter) not in _letters(self.font) for letter in text if not letter.isspace())

    def draw(self, image: Image.Image, text: str) -> Image.Image:
        """Return a copy of an RGB image with a text in black on a white band along its lower edge.

        The letters are a fourteenth of the image high. The band is as high as the text needs, at most four lines and
        half of the image; text that does not fit is cut off, with three dots.
        """
        size = max(MIN_FONT_SIZE, image.height // FONT_FRACTION)
        font = ImageFont.truetype(str(self.font), size)
        margin, height = size // 2, round(size * 1.3)
        max_lines = max(1, min(MAX_LINES, (image.height // 2 - margin) // height))
        lines = _lines(text.split(), font, image.width - 2 * margin, max_lines)
        copy = image.copy()
        draw = ImageDraw.Draw(copy)
        top = image.height - len(lines) * height - margin
        draw.rectangle((0, top, image.width, image.height), fill="white")
        for index, line in enumerate(lines):
            draw.text((margin, top + margin // 2 + index * height), line, fill="black", font=font)
        return copy


@lru_cache(maxsize=4)
def _letters(font: Path) -> frozenset[int]:
    fonts = require_extra("matplotlib.ft2font", "llm")
    return frozenset(fonts.FT2Font(str(font)).get_charmap())


def _lines(words: Sequence[str], font: ImageFont.FreeTypeFont, width: int, max_lines: int) -> list[str]:
    lines = list(islice(_break_lines(words, font, width), max_lines + 1))
    if len(lines) <= max_lines:
        return lines
    last = lines[max_lines - 1]
    while last and font.getlength(last + "…") > width:
        last = last[:-1]
    return [*lines[: max_lines - 1], last.rstrip() + "…"]


def _break_lines(words: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    """Yield lines that are no wider than ``width``, unless a single letter is."""
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        while font.getlength(word) > width and len(word) > 1:
            n_letters = _count_fitting(word, font, width)
            yield word[:n_letters]
            word = word[n_letters:]
        line = word
    if line:
        yield line


def _count_fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """Return how many letters of a word fit on a line, one at least."""
    counts = range(1, len(word))
    return max(1, bisect_right(counts, width, key=lambda count: math.ceil(font.getlength(word[:count]))))
