"""Amazon's metadata of items, of 2014, 2018 and 2023."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from flatrec.data.amazon.lines import Record, SkipCounts, read_records

ITEM_KEYS = ("parent_asin", "asin")


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


def read_products(
    path: Path, wanted: Collection[str], *, on_bytes: Callable[[int], None] = lambda _count: None
) -> tuple[dict[str, Product], SkipCounts]:
    """Read the wanted items of a metadata file by id, and count skipped lines; the first of repeated items is used.

    The file has JSON lines or, as in 2014, one Python literal per line, gzipped or not; no code in it is ever run.
    ``on_bytes`` gets the number of bytes that were read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or has none of the items.
    """
    skipped = SkipCounts()
    products: dict[str, Product] = {}
    for record in read_records(path, skipped, on_bytes=on_bytes):
        item = next((value for key in ITEM_KEYS if isinstance(value := record.get(key), str) and value in wanted), None)
        if item is not None and item not in products:
            products[item] = _product(record)
    if not products:
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
        return [text] if (text := value.replace("\x00", " ").strip()) else []
    return [text for element in value for text in _texts(element)] if isinstance(value, (list, tuple)) else []


def _image(record: Record) -> str:
    images = record.get("images")
    if isinstance(images, list):  # 2023: sizes by name, the main image first
        sizes = [size for image in images if isinstance(image, dict) for size in map(image.get, ("large", "hi_res"))]
        return next((address for address in sizes if isinstance(address, str) and address), "")
    for key in ("imUrl", "imageURLHighRes", "imageURL"):
        if texts := _texts(record.get(key)):
            return texts[0]
    return ""
