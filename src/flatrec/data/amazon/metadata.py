"""Amazon's metadata of items, of 2014, 2018 and 2023."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from flatrec.data.amazon.lines import Record, SkipCounts, as_unicode, read_records

ITEM_KEYS = ("parent_asin", "asin")
ROWS_PER_FRAME = 2**13
PRODUCT_SCHEMA = {
    "itemID": pl.Int64,
    **dict.fromkeys(("title", "brand", "categories", "description", "image_address", "text"), pl.String),
}


@dataclass(frozen=True)
class Product:
    """The metadata of an item; what is unknown is empty."""

    title: str = ""  # the name of the item
    brand: str = ""  # the maker or seller
    categories: tuple[str, ...] = ()  # from the widest to the narrowest
    description: str = ""  # all paragraphs
    image: str = ""  # the address of an image

    @property
    def text(self) -> str:
        """Title, brand, categories and description, in the order in which the field encodes them."""
        return " ".join(filter(None, (self.title, self.brand, " ".join(self.categories), self.description)))

    def row(self, index: int) -> tuple[int | str, ...]:
        """Return the row of an item in the columns of PRODUCT_SCHEMA."""
        categories = " > ".join(self.categories)
        return index, self.title, self.brand, categories, self.description, self.image, self.text


def read_products(
    path: Path, wanted: Mapping[str, int], *, on_bytes: Callable[[int], None] = lambda _count: None
) -> tuple[pl.DataFrame, SkipCounts]:
    """Read the wanted items of a metadata file, and count skipped lines; the first of repeated items is used.

    The file has JSON lines or, as in 2014, one Python literal per line, gzipped or not; no code in it is ever run.

    Args:
        path: the file.
        wanted: the indices of the wanted items by id.
        on_bytes: is called with the number of bytes that were read.

    Returns:
        One row per item of the file, with the columns of PRODUCT_SCHEMA. Memory: the texts twice, as UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or has none of the items.
    """
    skipped = SkipCounts()
    frames, rows, seen = [pl.DataFrame(schema=PRODUCT_SCHEMA)], [], np.zeros(len(wanted), dtype=np.bool_)
    for record in read_records(path, skipped, on_bytes=on_bytes):
        ids = (value for key in ITEM_KEYS if isinstance(value := record.get(key), str))
        index = next((wanted[item] for item in ids if item in wanted), None)
        if index is None or seen[index]:
            continue
        seen[index] = True
        rows.append(_product(record).row(index))
        if len(rows) == ROWS_PER_FRAME:
            frames.append(pl.DataFrame(rows, PRODUCT_SCHEMA, orient="row"))
            rows = []
    products = pl.concat([*frames, pl.DataFrame(rows, PRODUCT_SCHEMA, orient="row")])
    if products.is_empty():
        raise ValueError(f"{path} has none of the {len(wanted)} items that were reviewed; is it of the same category?")
    return products, skipped


def _product(record: Record) -> Product:
    details = record.get("details")
    maker = details.get("Brand") if isinstance(details, dict) else None
    paragraphs = [*_texts(record.get("description")), *_texts(record.get("features"))]
    return Product(
        title=" ".join(_texts(record.get("title"))),
        brand=" ".join(_texts(record.get("brand") or maker or record.get("store"))),
        categories=tuple(dict.fromkeys(_texts(record.get("categories") or record.get("category")))),
        description=" ".join(paragraphs),
        image=_image(record),
    )


def _texts(value: object) -> list[str]:
    """Return all texts in a value, which may be a nested list."""
    if isinstance(value, str):
        return [text] if (text := as_unicode(value).replace("\x00", " ").strip()) else []
    return [text for element in value for text in _texts(element)] if isinstance(value, (list, tuple)) else []


def _image(record: Record) -> str:
    images = record.get("images")
    if isinstance(images, list):  # 2023: sizes by name, the main image first
        sizes = [size for image in images if isinstance(image, dict) for size in map(image.get, ("large", "hi_res"))]
        return next((as_unicode(address) for address in sizes if isinstance(address, str) and address), "")
    for key in ("imUrl", "imageURLHighRes", "imageURL"):
        if texts := _texts(record.get(key)):
            return texts[0]
    return ""
