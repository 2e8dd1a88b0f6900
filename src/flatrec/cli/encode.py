"""flatrec encode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.items import with_items
from flatrec.cli.printing import print_json, print_text, print_warnings

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource


@with_items
def encode(
    *,
    out: Annotated[Path, typer.Option(help="Folder for features, masks and the report.", show_default=False)],
    source: ItemSource,
    text_encoder: Annotated[
        str, typer.Option(help="Name or folder of a sentence-transformers model, or open_clip/MODEL/WEIGHTS.")
    ] = "all-minilm-l6-v2",
    image_encoder: Annotated[
        str, typer.Option(help="Name of an image encoder: efficientnet-lite0, timm/MODEL or open_clip/MODEL/WEIGHTS.")
    ] = "efficientnet-lite0",
    workers: Annotated[int, typer.Option(help="Threads that read and decode images.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Texts or images per pass of the encoder.")] = 64,
    device: options.Device = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER/COUNT",
            help="Encode only this part of the items, such as 1/4; the same command without it then writes the files.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Encode item texts and images as feature files, one row per item in the order of the table.

    No text or image is encoded twice: the same command continues what was stopped, and encodes only new items.

    Example: `flatrec encode items.csv --id-column itemID --text-column text --image-dir posters --out features`
    """
    from flatrec.cli.progress import counting
    from flatrec.content.encode import DETAILS, encode_shard, encode_table, summary_dict
    from flatrec.content.shards import file_of
    from flatrec.runs.session import choose_device
    from flatrec.utils.shards import Shard

    part = None if shard is None else Shard.parse(shard)
    chosen = str(choose_device(options.experiment(None, None, device=device)))
    if part is not None:
        computed = encode_shard(
            source,
            out,
            part,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            batch_size=batch_size,
            workers=workers,
            device=chosen,
            progress=counting,
        )
        if json:
            print_json({"path": str(file_of(part, out)), "computed": computed or 0, "was_finished": computed is None})
        else:
            said = "was finished before" if computed is None else f"{computed} computed now"
            print_text(f"{file_of(part, out)}: {said}")
        return
    reports = encode_table(
        source,
        out,
        text_encoder=text_encoder,
        image_encoder=image_encoder,
        batch_size=batch_size,
        workers=workers,
        device=chosen,
        progress=counting,
    )
    if json:
        print_json({"path": str(out), "features": [summary_dict(report) for report in reports]})
        return
    for report in reports:
        counts = f"{report.computed} computed now, {report.missing} items without"
        print_text(f"{out / report.modality}_feat.npy: {report.items} rows of {report.dim} numbers, {counts}")
        print_warnings(report.warnings, out / DETAILS)
