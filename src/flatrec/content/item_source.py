"""Raw items: a table with ids and texts, and the image file of each item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from flatrec.content.encoders.images import list_images
from flatrec.data.items import ItemTable, read_items

# Opens a progress display with a title and a total; what it gives is called with the number of items just done.
Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def no_progress(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda _count: None


@dataclass(frozen=True, kw_only=True)
class ItemSource:
    """Where raw items are read from.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.parquet`` file with one row per item.
        id_column: column of the item ids; guessed from common names if left out.
        text_columns: columns of texts, joined in this order.
        image_dir: folder of images whose names are the item ids.
        image_column: column of image files, relative to the table; not together with ``image_dir``.
    """

    path: Path
    id_column: str | None = None
    text_columns: tuple[str, ...] = ()
    image_dir: Path | None = None
    image_column: str | None = None

    def read(self) -> RawItems:
        """Read the table, and find the image files.

        Raises:
            FileNotFoundError: there is no such table or folder.
            ValueError: the table is malformed, lacks a column, or no item has an image; both places of images are
                named.
        """
        table = read_items(self.path, self.id_column)
        images = self._images(table)
        return RawItems(table, table.join_columns(self.text_columns) if self.text_columns else None, images)

    def _images(self, table: ItemTable) -> Mapping[str, Path | None] | None:
        if self.image_dir is not None and self.image_column is not None:
            raise ValueError("give --image-dir or --image-column, not both")
        if self.image_dir is not None:
            files = list_images(self.image_dir)
            if not any(item in files for item in table.ids):
                raise ValueError(
                    f"{self.image_dir} has no image of any of the {len(table.ids)} items; name its files by item id, "
                    f"such as {table.ids[0]}.jpg"
                )
            return {item: files.get(item) for item in table.ids}
        if self.image_column is None:
            return None
        names = table.column(self.image_column)
        paths = {item: table.path.parent / name if name else None for item, name in names.items()}
        if not any(path is not None and path.is_file() for path in paths.values()):
            raise ValueError(
                f"column {self.image_column!r} names no image file that exists; its files are relative to "
                f"{table.path.parent}"
            )
        return paths


@dataclass(frozen=True)
class RawItems:
    """Raw items as they were read.

    Args:
        table: table of all items.
        texts: text of each item; None if no text column is named.
        images: image file of each item; None if no images are named.
    """

    table: ItemTable
    texts: Mapping[str, str | None] | None
    images: Mapping[str, Path | None] | None
