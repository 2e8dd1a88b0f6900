"""flatrec adjust."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.endpoint import with_endpoint
from flatrec.cli.items import with_items
from flatrec.cli.printing import print_json, print_text, print_warnings
from flatrec.content.llm.settings import Endpoint

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource


@with_endpoint
@with_items
def adjust(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the new table and images.", show_default=False)],
    probability: Annotated[float, typer.Option(help="Probability that an item is adjusted.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed that decides which items are adjusted.")] = 0,
    source: ItemSource,
    caption_column: Annotated[
        str | None, typer.Option(help="Column of captions, instead of an endpoint.", show_default=False)
    ] = None,
    summary_column: Annotated[
        str | None,
        typer.Option(help="Column of words to print; the first words of the caption if left out.", show_default=False),
    ] = None,
    font: Annotated[
        Path | None,
        typer.Option(
            help="Font of the printed words, a .ttf or .otf file; DejaVu Sans if left out.", show_default=False
        ),
    ] = None,
    endpoint: Endpoint | None = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Edit the texts and images of some items, to measure how much worse a trained model becomes.

    The text of an adjusted item becomes a caption of its image, and a summary of the caption is printed on the image.
    Encode the new table into the same folder; `flatrec study adjustment --set study.features='["FOLDER"]'` then scores
    trained models on it.

    Example: `flatrec adjust items.csv --text-column text --image-dir posters --probability 0.03
    --caption-column caption --out adjusted`
    """
    from flatrec.cli.progress import counting
    from flatrec.content.llm.adjust import CaptionColumns, adjust_items

    captions = endpoint or (CaptionColumns(caption_column, summary_column) if caption_column else None)
    if captions is None or (endpoint and caption_column):
        raise ValueError("give --caption-column, or --endpoint and --model, which caption the images")
    result = adjust_items(
        source, out, captions, probability=probability, seed=seed, font=font, overwrite=overwrite, progress=counting
    )
    if json:
        print_json({"path": str(out), **result.facts})
        return
    counts = f"{len(result.items)} of {result.facts['of']} items adjusted, {result.facts['selected']} selected"
    print_text(f"{result.table}: {counts}")
    print_warnings(result.warnings, result.details)
    print_text(f"encode them: {_encode_command(result.table, source)}")
    if endpoint:
        print_text(result.usage.sentence(result.cost))


def _encode_command(table: Path, source: ItemSource) -> str:
    """Return the command that encodes the new table."""
    from flatrec.content.llm.item_editor import IMAGE_COLUMN, TEXT_COLUMN

    ids = ("--id-column", source.id_column) if source.id_column else ()
    images = ("--image-column", IMAGE_COLUMN) if source.image_dir or source.image_column else ()
    words = (str(table), *ids, "--text-column", TEXT_COLUMN, *images, "--out", str(table.parent))
    return shlex.join(("flatrec", "encode", *words))
