"""What Amazon's metadata files of 2014, 2018 and 2023 say about items."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from flatrec.data.amazon.lines import Record, SkipCounts, records

ITEM_KEYS = ("parent_asin", "asin")


@dataclass(frozen=True)
class Product:
    """An item.

    Args:
        title: its name; empty where there is none.
        brand: who makes or sells it.
        categories: from the widest to the narrowest.
        description: paragraphs in a row.
        image: address of an image.
    """

    title: str = ""
    brand: str = ""
    categories: tuple[str, ...] = ()
    description: str = ""
    image: str = ""

    @property
    def text(self) -> str:
        """Title, brand, categories and description, in the order in which the field encodes them."""
        return " ".join(filter(None, (self.title, self.brand, " ".join(self.categories), self.description)))


def read_products(
    path: Path, wanted: Collection[str], *, on_bytes: Callable[[int], None] = lambda _count: None
) -> tuple[dict[str, Product], SkipCounts]:
    """The wanted items of a metadata file by id, and what was skipped; of items that come twice, the first.

    Args:
        path: JSON lines or, as in 2014, a Python literal a line, gzipped or not; nothing in it is ever run.
        wanted: item ids.
        on_bytes: hears of bytes as they are read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or has none of the items.
    """
    skipped = SkipCounts()
    found: dict[str, Product] = {}
    for record in records(path, skipped, on_bytes=on_bytes):
        item = next((value for key in ITEM_KEYS if isinstance(value := record.get(key), str) and value in wanted), None)
        if item is not None and item not in found:
            found[item] = _product(record)
    if not found:
        raise ValueError(f"{path} has none of the {len(wanted)} items that were reviewed; is it of the same category?")
    return found, skipped


def _product(record: Record) -> Product:
    details = record.get("details")
    maker = details.get("Brand") if isinstance(details, dict) else None
    described = [*_texts(record.get("description")), *_texts(record.get("features"))]
    return Product(
        title=" ".join(_texts(record.get("title"))),
        brand=" ".join(_texts(record.get("brand") or maker or record.get("store"))),
        categories=tuple(dict.fromkeys(_texts(record.get("categories") or record.get("category")))),
        description=" ".join(described),
        image=_image(record),
    )


def _texts(value: object) -> list[str]:
    """All texts in a value, however deep the lists that hold them."""
    if isinstance(value, str):
        return [text] if (text := value.replace("\x00", " ").strip()) else []
    return [text for one in value for text in _texts(one)] if isinstance(value, (list, tuple)) else []


def _image(record: Record) -> str:
    images = record.get("images")
    if isinstance(images, list):  # 2023: sizes by name, the main image first
        chosen = [one for image in images if isinstance(image, dict) for one in map(image.get, ("large", "hi_res"))]
        return next((one for one in chosen if isinstance(one, str) and one), "")
    for key in ("imUrl", "imageURLHighRes", "imageURL"):
        if texts := _texts(record.get(key)):
            return texts[0]
    return ""
