"""flatrec encode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from flatrec.cli import options
from flatrec.cli.items import IdColumn, ImageColumn, ImageDir, Items, TextColumn, images_of
from flatrec.cli.printing import print_json, print_remarks, print_text

if TYPE_CHECKING:
    from flatrec.content.encoders.encoding import Report
    from flatrec.content.encoders.recipe import Recipe
    from flatrec.data.items import ItemTable


def encode(
    items: Items,
    out: Annotated[Path, typer.Option(help="Folder for features, masks and the report.", show_default=False)],
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_dir: ImageDir = None,
    image_column: ImageColumn = None,
    text_encoder_name: Annotated[
        str, typer.Option("--text-encoder", help="A sentence-transformers name or folder, or open_clip/MODEL/WEIGHTS.")
    ] = "all-minilm-l6-v2",
    image_encoder_name: Annotated[
        str,
        typer.Option("--image-encoder", help="efficientnet-lite0, timm/MODEL or open_clip/MODEL/WEIGHTS."),
    ] = "efficientnet-lite0",
    workers: Annotated[int, typer.Option(help="Threads that read and unpack images.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Texts or images a pass of the encoder.")] = 64,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Turn item texts and images into feature files, a row an item in the table's order.

    What was encoded before is not encoded again, so a run that was killed goes on, and new items cost only themselves.

    Example: `flatrec encode items.csv --id-column itemID --text-column text --image-dir posters --out features`
    """
    from flatrec.content.encoders.recipe import Recipe
    from flatrec.content.encoders.report import as_dict
    from flatrec.data.items import read_items

    if workers < 1 or batch_size < 1:
        raise ValueError(f"workers and batch-size must be at least 1, but are {workers} and {batch_size}")
    table = read_items(items, id_column)
    images = images_of(table, image_dir, image_column)
    if not text_column and images is None:
        raise ValueError("nothing to encode; give --text-column, --image-dir or --image-column")
    recipe = Recipe(
        id_column,
        tuple(text_column or ()),
        text_encoder_name,
        image_column,
        image_dir is not None,
        image_encoder_name,
    )
    reports = encode_table(table, images, recipe, out, Means(workers, batch_size, device))
    if json:
        print_json({"path": str(out), "features": [as_dict(one) for one in reports]})
        return
    for one in reports:
        _print(one, out)


class Means(NamedTuple):
    """What encoding may take.

    Args:
        workers: threads that read and unpack images.
        batch_size: texts or images a pass of the encoder.
        device: ``auto``, ``cpu`` or ``cuda``; auto if None.
    """

    workers: int = 2
    batch_size: int = 64
    device: str | None = None


def encode_table(
    table: ItemTable, images: Mapping[str, Path | None] | None, recipe: Recipe, out: Path, means: Means
) -> list[Report]:
    """Write features, masks, ids, report and recipe of all items, with a progress bar.

    Raises:
        ImportError: the extra of an encoder is not installed.
        ValueError: there is no such column or encoder, or the folder has features of other items.
        OSError: the folder cannot be written to.
    """
    from flatrec.cli.progress import counting
    from flatrec.content.encoders import image_encoder, text_encoder
    from flatrec.content.encoders.encoding import Settings, Target, encode_images, encode_texts
    from flatrec.content.encoders.report import write_report
    from flatrec.content.encoders.store import VectorStore, default_path
    from flatrec.data.formats.encoded import finish, make_room, write_ids
    from flatrec.runs.session import choose_device

    texts = table.joined(recipe.text_columns) if recipe.text_columns else None
    where = str(choose_device(options.experiment(None, None, device=means.device)))
    written = {"text": texts is not None, "image": images is not None}
    modalities = [modality for modality, is_written in written.items() if is_written]
    make_room(out, table.ids, modalities)
    complete = recipe.completed(out)
    reports = []
    with VectorStore(default_path()) as store:
        if texts is not None:
            encoder = text_encoder(recipe.text_encoder, device=where)
            with counting("texts", len(texts)) as done:
                settings = Settings(store, means.batch_size, means.workers, done)
                reports.append(encode_texts(texts, encoder, Target(out, "text"), settings))
        if images is not None:
            seeing = image_encoder(recipe.image_encoder, device=where)
            with counting("images", len(images)) as done:
                settings = Settings(store, means.batch_size, means.workers, done)
                reports.append(encode_images(images, seeing, Target(out, "image"), settings))
    write_ids(out, table.ids)
    write_report(out, reports)
    complete.write(out)
    finish(out, modalities)
    return reports


def _print(report: Report, out: Path) -> None:
    from flatrec.content.encoders.report import DETAILS

    file = out / f"{report.modality}_feat.npy"
    news = f"{report.computed} computed now, {report.missing} items without"
    print_text(f"{file}: {report.items} rows of {report.dim} numbers, {news}")
    print_remarks(report.counts, out / DETAILS)
