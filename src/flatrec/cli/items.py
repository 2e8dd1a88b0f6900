"""Options of the commands that read raw items, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flatrec.data.items import ItemTable

Items = Annotated[Path, typer.Argument(help="A .csv, .tsv or .parquet with a row an item.", show_default=False)]
IdColumn = Annotated[str | None, typer.Option(help="Guessed if left out.", show_default=False)]
TextColumn = Annotated[
    list[str] | None, typer.Option(help="Column of texts; several are joined in this order.", show_default=False)
]
ImageDir = Annotated[Path | None, typer.Option(help="Folder of images, named by item id.", show_default=False)]
ImageColumn = Annotated[
    str | None, typer.Option(help="Column of image files instead, relative to the table.", show_default=False)
]


def images_of(table: ItemTable, folder: Path | None, column: str | None) -> Mapping[str, Path | None] | None:
    """The image file of each item; None where none are asked for.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: folder and column are both given, there is no such column, or no item has an image.
    """
    from flatrec.content.encoders.images import listed

    if folder is not None and column is not None:
        raise ValueError("give --image-dir or --image-column, not both")
    if folder is not None:
        there = listed(folder)
        if not any(item in there for item in table.ids):
            raise ValueError(
                f"{folder} has no image of any of the {len(table.ids)} items; name its files by item id, such as "
                f"{table.ids[0]}.jpg"
            )
        return {item: there.get(item) for item in table.ids}
    if column is None:
        return None
    named = {item: table.path.parent / name if name else None for item, name in table.column(column).items()}
    if not any(path is not None and path.is_file() for path in named.values()):
        raise ValueError(
            f"column {column!r} names no image that is there; it takes files relative to {table.path.parent}"
        )
    return named
