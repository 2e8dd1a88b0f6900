"""Images of items, drawn with Pillow: silhouette, color, pattern and brand mark, each a little different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from flatrec.data.shop.catalog import Catalog
from flatrec.data.shop.patterns import RGB, draw_pattern
from flatrec.data.shop.silhouettes import SILHOUETTES, Layer, Stroke

SIZE = 96
FINE = 2 * SIZE  # drawn at twice the size and reduced, for smooth edges
INK: Mapping[str, RGB] = {
    "red": (206, 58, 56),
    "orange": (236, 134, 52),
    "yellow": (240, 200, 66),
    "green": (98, 158, 84),
    "teal": (44, 144, 146),
    "blue": (60, 104, 182),
    "purple": (130, 88, 164),
    "pink": (232, 138, 164),
    "grey": (150, 154, 160),
    "black": (58, 58, 64),
}
TRIM: Mapping[str, RGB] = {
    "ceramic": (238, 230, 216),
    "glass": (176, 212, 220),
    "steel": (160, 168, 178),
    "brass": (202, 164, 84),
    "wooden": (164, 116, 72),
    "leather": (122, 78, 50),
    "cotton": (246, 242, 234),
    "linen": (214, 196, 164),
    "wool": (108, 100, 96),
    "canvas": (186, 172, 140),
}
SHINY = ("ceramic", "glass", "steel", "brass")
WALLS: tuple[RGB, ...] = ((246, 242, 234), (236, 240, 244), (242, 236, 240), (236, 242, 234), (244, 238, 226))
MARKS: Mapping[str, tuple[RGB, int]] = {  # color and number of corners; 0 is a disc
    "Nordby": ((40, 70, 120), 0),
    "Halden": ((170, 60, 50), 4),
    "Marlo": ((60, 120, 80), 3),
    "Tindra": ((200, 150, 40), 6),
    "Oakley Row": ((110, 70, 40), 5),
    "Pavone": ((90, 60, 140), 0),
    "Sorrel": ((190, 90, 40), 3),
    "Wick & Weir": ((50, 50, 50), 4),
}


@dataclass(frozen=True)
class Pose:
    """The position of an item in its image."""

    scale: float  # of the silhouette, relative to the canvas
    right: float  # shift in hundredths of the canvas
    down: float
    tilt: float  # degrees
    mirrored: bool
    wall: int


def draw_images(catalog: Catalog, rng: np.random.Generator) -> tuple[Image.Image, ...]:
    """Draw one image of 96 by 96 pixels per item; about 4 ms each."""
    return tuple(draw_image(catalog.item(index), rng) for index in range(len(catalog)))


def draw_image(item: Mapping[str, str], rng: np.random.Generator) -> Image.Image:
    """Draw the image of an item with the given attributes, in a random pose."""
    pose = _pose(rng)
    masks = {layer: _mask(SILHOUETTES[item["kind"]], layer, pose) for layer in ("behind", "body", "front")}
    image = _studio(pose)
    trim = TRIM[item["material"]]
    _paint(image, Image.new("RGB", image.size, trim), masks["behind"], rim=_darker(trim))
    ink = _jittered(INK[item["color"]], rng)
    cloth = _lit(draw_pattern(item["pattern"], ink, FINE, shift=int(rng.integers(FINE // 8))))
    _paint(image, cloth, masks["body"], rim=_darker(ink))
    if item["material"] in SHINY:
        _shine(image, masks["body"])
    _paint(image, Image.new("RGB", image.size, trim), masks["front"], rim=_darker(trim))
    _mark(image, item["brand"])
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def _pose(rng: np.random.Generator) -> Pose:
    return Pose(
        scale=float(rng.uniform(0.72, 0.86)),
        right=float(rng.uniform(-4, 4)),
        down=float(rng.uniform(-3, 3)),
        tilt=float(rng.uniform(-5, 5)),
        mirrored=bool(rng.random() < 0.3),
        wall=int(rng.integers(len(WALLS))),
    )


def _mask(strokes: tuple[Stroke, ...], layer: Layer, pose: Pose) -> Image.Image:
    mask = Image.new("L", (FINE, FINE))
    draw = ImageDraw.Draw(mask)
    for stroke in strokes:
        if stroke.layer == layer:
            _stroke(draw, stroke, pose)
    if pose.mirrored:
        mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return mask.rotate(pose.tilt, Image.Resampling.BILINEAR)


def _stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, pose: Pose) -> None:
    unit = FINE / 100
    points = [
        (unit * (50 + pose.right + pose.scale * (x - 50)), unit * (50 + pose.down + pose.scale * (y - 50)))
        for x, y in stroke.points
    ]
    width = max(1, round(unit * pose.scale * stroke.width))
    if stroke.form == "polygon":
        draw.polygon(points, fill=255)
    elif stroke.form == "line":
        draw.line(points, fill=255, width=width, joint="curve")
    elif stroke.form == "box":
        draw.rounded_rectangle(points, radius=unit * 5, fill=255)
    elif stroke.form == "arc":
        draw.arc(points, stroke.start, stroke.end, fill=255, width=width)
    elif stroke.width:
        draw.ellipse(points, outline=255, width=width)
    else:
        draw.ellipse(points, fill=255)


def _studio(pose: Pose) -> Image.Image:
    """A light wall, a slightly darker table and a soft shadow on it."""
    wall = WALLS[pose.wall]
    image = Image.new("RGB", (FINE, FINE), wall)
    ImageDraw.Draw(image).rectangle((0, FINE * 0.78, FINE, FINE), fill=_darker(wall, 0.94))
    shadow = Image.new("L", (FINE // 4, FINE // 4))
    middle, floor, reach = 50 + pose.right, 50 + pose.down + 38 * pose.scale, 36 * pose.scale
    box = [FINE / 400 * edge for edge in (middle - reach, floor - 4, middle + reach, floor + 6)]
    ImageDraw.Draw(shadow).ellipse(box, fill=90)
    shadow = shadow.filter(ImageFilter.GaussianBlur(2)).resize(image.size, Image.Resampling.BILINEAR)
    image.paste(_darker(wall, 0.55), (0, 0), shadow)
    return image


def _paint(image: Image.Image, filling: Image.Image, mask: Image.Image, *, rim: RGB) -> None:
    """Fill a mask, with a thin rim of a darker color just inside it."""
    image.paste(rim, (0, 0), mask)
    image.paste(filling, (0, 0), mask.filter(ImageFilter.MinFilter(3)))


def _lit(cloth: Image.Image) -> Image.Image:
    """Light the cloth from the left: the right side becomes darker."""
    light = Image.linear_gradient("L").rotate(90).resize(cloth.size).point([255 - value // 5 for value in range(256)])
    return ImageChops.multiply(cloth, Image.merge("RGB", (light, light, light)))


def _shine(image: Image.Image, body: Image.Image) -> None:
    left, top, right, bottom = body.getbbox() or (0, 0, FINE, FINE)
    width, height = right - left, bottom - top
    spot = Image.new("L", image.size)
    box = (left + 0.18 * width, top + 0.18 * height, left + 0.32 * width, top + 0.6 * height)
    ImageDraw.Draw(spot).ellipse(box, fill=120)
    spot = spot.filter(ImageFilter.BoxBlur(3))
    image.paste((255, 255, 255), (0, 0), ImageChops.multiply(spot, body))


def _mark(image: Image.Image, brand: str) -> None:
    color, corners = MARKS[brand]
    center, radius = 0.91 * FINE, 0.045 * FINE
    draw = ImageDraw.Draw(image)
    if corners:
        draw.regular_polygon((center, center, radius * 1.2), corners, fill=color)
    else:
        draw.ellipse((center - radius, center - radius, center + radius, center + radius), fill=color)


def _jittered(ink: RGB, rng: np.random.Generator) -> RGB:
    red, green, blue = (int(np.clip(value + rng.integers(-10, 11), 0, 255)) for value in ink)
    return red, green, blue


def _darker(color: RGB, factor: float = 0.72) -> RGB:
    red, green, blue = (int(factor * value) for value in color)
    return red, green, blue
