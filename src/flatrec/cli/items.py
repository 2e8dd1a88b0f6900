"""The options of a table of raw items, which three commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli.groups import Command, group_of, with_groups

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource

ImageDir = Annotated[
    Path | None, typer.Option(help="Folder of images whose names are the item ids.", show_default=False)
]


def with_items(command: Command) -> Command:
    """Give a command the options of a table of items in the place of its parameter ``source``."""
    return with_groups(command, {"source": group_of(_source)})


def _source(
    items: Annotated[
        Path, typer.Argument(help="A .csv, .tsv or .parquet file with one row per item.", show_default=False)
    ],
    id_column: Annotated[
        str | None, typer.Option(help="Column of the item ids; guessed if left out.", show_default=False)
    ] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option(help="Column of texts; repeatable, the texts are joined in this order.", show_default=False),
    ] = None,
    image_dir: ImageDir = None,
    image_column: Annotated[
        str | None,
        typer.Option(help="Column of image files, relative to the table; instead of --image-dir.", show_default=False),
    ] = None,
) -> ItemSource:
    from flatrec.content.item_source import ItemSource

    texts = tuple(text_column or ())
    return ItemSource(
        path=items, id_column=id_column, text_columns=texts, image_dir=image_dir, image_column=image_column
    )
