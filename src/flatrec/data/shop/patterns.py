"""The patterns of the shop, as sheets to be cut to the shape of an item."""

from __future__ import annotations

import math
from typing import TypeAlias

from PIL import Image, ImageDraw

RGB: TypeAlias = tuple[int, int, int]
CREAM: RGB = (252, 248, 238)


def draw_pattern(pattern: str, ink: RGB, size: int, *, shift: int = 0) -> Image.Image:
    """A square sheet in a color, with its pattern in cream, moved by ``shift`` pixels.

    Raises:
        ValueError: there is no such pattern.
    """
    sheet = Image.new("RGB", (size, size), ink)
    draw = ImageDraw.Draw(sheet)
    step = size // 10
    if pattern == "striped":
        _stripes(draw, size, step, shift)
    elif pattern == "dotted":
        _dots(draw, size, step, shift)
    elif pattern == "checked":
        _checks(draw, size, step, blend=_between(ink, CREAM), shift=shift)
    elif pattern == "zigzag":
        _zigzags(draw, size, step, shift)
    elif pattern == "floral":
        _flowers(draw, size, 2 * step, middle=_between(ink, (250, 210, 90)), shift=shift)
    elif pattern != "plain":
        raise ValueError(f"pattern must be one of flatrec.data.shop.catalog.ATTRIBUTES, but is {pattern!r}")
    return sheet


def _stripes(draw: ImageDraw.ImageDraw, size: int, step: int, shift: int) -> None:
    for top in range(shift % step - step, size, step):
        draw.rectangle((0, top, size, top + step * 0.42), fill=CREAM)


def _dots(draw: ImageDraw.ImageDraw, size: int, step: int, shift: int) -> None:
    radius = step * 0.24
    for row, y in enumerate(range(shift % step - step, size + step, step)):
        for x in range(shift % step - step + row % 2 * step // 2, size + step, step):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=CREAM)


def _checks(draw: ImageDraw.ImageDraw, size: int, step: int, *, blend: RGB, shift: int) -> None:
    starts = range(shift % step - step, size, step)
    half = step // 2
    for start in starts:
        draw.rectangle((0, start, size, start + half), fill=blend)
        draw.rectangle((start, 0, start + half, size), fill=blend)
    for top in starts:
        for left in starts:
            draw.rectangle((left, top, left + half, top + half), fill=CREAM)


def _zigzags(draw: ImageDraw.ImageDraw, size: int, step: int, shift: int) -> None:
    for top in range(shift % (2 * step) - 2 * step, size + step, int(1.4 * step)):
        points = [(x, top + step * 0.8 * (number % 2)) for number, x in enumerate(range(0, size + step, step))]
        draw.line(points, fill=CREAM, width=max(1, step // 3), joint="curve")


def _flowers(draw: ImageDraw.ImageDraw, size: int, step: int, *, middle: RGB, shift: int) -> None:
    for row, y in enumerate(range(shift % step - step, size + step, step * 3 // 4)):
        for x in range(shift % step - step + row % 2 * step // 2, size + step, step):
            _flower(draw, (x, y), step * 0.15, middle)


def _flower(draw: ImageDraw.ImageDraw, center: tuple[int, int], radius: float, middle: RGB) -> None:
    for petal in range(5):
        angle = 2 * math.pi * petal / 5
        x, y = center[0] + 1.3 * radius * math.cos(angle), center[1] + 1.3 * radius * math.sin(angle)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=CREAM)
    x, y, radius = *center, 0.8 * radius
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=middle)


def _between(one: RGB, other: RGB) -> RGB:
    red, green, blue = ((first + second) // 2 for first, second in zip(one, other, strict=True))
    return red, green, blue
