"""Options of the commands that read raw items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Items = Annotated[Path, typer.Argument(help="A .csv, .tsv or .parquet file with one row per item.", show_default=False)]
IdColumn = Annotated[str | None, typer.Option(help="Column of the item ids; guessed if left out.", show_default=False)]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(help="Column of texts; repeatable, the texts are joined in this order.", show_default=False),
]
ImageDir = Annotated[
    Path | None, typer.Option(help="Folder of images whose names are the item ids.", show_default=False)
]
ImageColumn = Annotated[
    str | None,
    typer.Option(help="Column of image files, relative to the table; instead of --image-dir.", show_default=False),
]
