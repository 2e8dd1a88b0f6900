"""flatrec encode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from flatrec.cli import options
from flatrec.cli.items import with_items
from flatrec.cli.printing import print_json, print_text, print_warnings
from flatrec.cli.shard_pool import ShardPool, with_shard_pool
from flatrec.utils.messages import count
from flatrec.utils.shards import Shard

if TYPE_CHECKING:
    from flatrec.content.encode import EncodeOptions
    from flatrec.content.item_source import ItemSource


class EncodeJob(NamedTuple):
    """What a process needs to encode one shard; the device is named, and chosen by that process."""

    source: ItemSource
    out: Path
    shard: Shard
    options: EncodeOptions


@with_shard_pool
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
    pool: ShardPool | None,
    json: options.Json = False,
) -> None:
    """Encode item texts and images as feature files, one row per item in the order of the table.

    No text or image is encoded twice: the same command continues what was stopped, and encodes only new items.

    Example: `flatrec encode items.csv --id-column itemID --text-column text --image-dir posters --out features`
    """
    from flatrec.cli.progress import counting
    from flatrec.content.encode import DETAILS, EncodeOptions, encode_table, summary_dict

    wanted = EncodeOptions(
        text_encoder=text_encoder,
        image_encoder=image_encoder,
        batch_size=batch_size,
        workers=workers,
        device=options.experiment(None, None, device=device).device,
    )
    if shard is not None:
        if pool is not None:
            raise ValueError("--shard encodes one part, --shards all of them; give one of the two")
        _encode_one(EncodeJob(source, out, Shard.parse(shard), wanted), json=json)
        return
    n_computed = 0
    if pool is not None:
        computed = pool.do(encode_job, [EncodeJob(source, out, part, wanted) for part in pool.shards])
        n_computed = sum(number or 0 for number in computed)
        wanted = replace(wanted, device="cpu")  # which only has to name the encoders, since all vectors are there
    reports = encode_table(source, out, _on_device(wanted), progress=counting)
    if json:
        in_shards = {} if pool is None else {"computed_in_shards": n_computed}
        print_json({"path": str(out), "features": [summary_dict(report) for report in reports], **in_shards})
        return
    if pool is not None:
        print_text(f"{count(n_computed, 'vector')} computed in {count(pool.n_shards, 'shard')}")
    for report in reports:
        counts = f"{report.computed} computed now, {report.missing} items without"
        print_text(f"{out / report.modality}_feat.npy: {report.items} rows of {report.dim} numbers, {counts}")
        print_warnings(report.warnings, out / DETAILS)


def encode_job(job: EncodeJob) -> int | None:
    """Encode one shard in the process that this is called in, and return how many vectors were computed.

    Returns:
        The number of vectors; None if the shard was finished before.
    """
    from flatrec.content.encode import encode_shard

    return encode_shard(job.source, job.out, job.shard, _on_device(job.options))


def _encode_one(job: EncodeJob, *, json: bool) -> None:
    """Encode one shard, and print what became of it."""
    from flatrec.cli.progress import counting
    from flatrec.content.encode import encode_shard
    from flatrec.content.shards import file_of

    computed = encode_shard(job.source, job.out, job.shard, _on_device(job.options), progress=counting)
    path = file_of(job.shard, job.out)
    if json:
        print_json({"path": str(path), "computed": computed or 0, "was_finished": computed is None})
    else:
        print_text(f"{path}: {'was finished before' if computed is None else f'{computed} computed now'}")


def _on_device(wanted: EncodeOptions) -> EncodeOptions:
    """Return options with the device that the name in them means in this process.

    Raises:
        ValueError: there is no such device.
    """
    from flatrec.utils import devices

    return replace(wanted, device=str(devices.choose(wanted.device)))
