"""Encoding a table of items, and new items like those of a run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from flatrec.content import encoders, shards
from flatrec.content.encoders.base import ImageEncoder, TextEncoder
from flatrec.content.encoders.encoding import (
    EncodingReport,
    EncodingSettings,
    encode_images,
    encode_texts,
    store_images,
    store_texts,
)
from flatrec.content.encoders.recipe import RECIPE, Recipe, read_recipe
from flatrec.content.encoders.vector_cache import VectorCache, default_path
from flatrec.content.item_source import ItemSource, Progress, RawItems, no_progress
from flatrec.content.report import write_warnings
from flatrec.data.dataset import Dataset
from flatrec.data.encoded_items import EncodedItems, finish_update, prepare_folder, read_encoded, write_ids
from flatrec.data.formats.description import DESCRIPTION, parse
from flatrec.data.items import ItemTable, read_items
from flatrec.data.tables.files import TABLE_SUFFIXES
from flatrec.utils.atomic_write import write_text
from flatrec.utils.shards import Shard

SUMMARY, DETAILS = "encoding.json", "encoding.csv"


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How items are encoded.

    Args:
        text_encoder: name for :func:`flatrec.content.encoders.text_encoder`.
        image_encoder: name for :func:`flatrec.content.encoders.image_encoder`.
        batch_size: texts or images per pass of the encoder.
        workers: threads that read and decode images.
        device: torch device that computes.

    Raises:
        ValueError: a number is below 1.
    """

    text_encoder: str = "all-minilm-l6-v2"
    image_encoder: str = "efficientnet-lite0"
    batch_size: int = 64
    workers: int = 2
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.workers < 1 or self.batch_size < 1:
            raise ValueError(f"workers and batch_size must be at least 1, but are {self.workers} and {self.batch_size}")


def encode_table(
    source: ItemSource, out: Path, options: EncodeOptions | None = None, *, progress: Progress = no_progress
) -> list[EncodingReport]:
    """Write features, masks, ids, report and recipe of all items, one row per item in the table's order.

    No text or image is encoded twice: vectors are cached by content, so a killed call continues when it is repeated.
    Shards that :func:`encode_shard` left in the folder give their vectors, and are removed when all is written.

    Args:
        source: table and images of the items.
        out: folder of the files; created if it does not exist.
        options: encoders, device and so on.
        progress: opens a progress display for each modality.

    Raises:
        ImportError: the extra of an encoder is not installed.
        ValueError: there is no such column or encoder, nothing is to be encoded, the folder has features of other
            items, or a shard is missing, unfinished, or of other items or encoders.
        OSError: a file cannot be read, or the folder not be written to.
    """
    options = options or EncodeOptions()
    items = _read(source)
    modalities = [name for name, values in (("text", items.texts), ("image", items.images)) if values is not None]
    prepare_folder(out, items.table.ids, modalities)
    recipe = _recipe(source, options).merged_with(out)
    loaded = _Encoders(items, options)
    reports = []
    with VectorCache(default_path()) as users, shards.joined(out, loaded.fingerprint, users) as cache:
        settings = EncodingSettings(cache, options.batch_size, options.workers)
        if items.texts is not None:
            text = loaded.text  # before the display of the progress opens
            with progress("texts", len(items.texts)) as on_items:
                reports.append(encode_texts(items.texts, text, out, settings._replace(on_items=on_items)))
        if items.images is not None:
            image = loaded.image
            with progress("images", len(items.images)) as on_items:
                reports.append(encode_images(items.images, image, out, settings._replace(on_items=on_items)))
    write_features_info(out, items.table.ids, reports, recipe)
    if (out / shards.FOLDER).is_dir():
        shutil.rmtree(out / shards.FOLDER)
    return reports


def encode_shard(
    source: ItemSource,
    out: Path,
    shard: Shard,
    options: EncodeOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> int | None:
    """Encode one part of the items; :func:`encode_table` then makes the feature files of all parts.

    A shard that was finished is left as it is, and one that was stopped goes on. Shards may be encoded at the same
    time, on any machines that see the folder.

    Args:
        source: table and images of all items.
        out: folder of the feature files; the shard is written beside them.
        shard: which part.
        options: encoders, device and so on; the encoders must be the same for all shards.
        progress: opens a progress display for each modality.

    Returns:
        The number of vectors that were computed; None if the shard was finished before.

    Raises:
        ImportError: the extra of an encoder is not installed.
        ValueError: there is no such column or encoder, nothing is to be encoded, or the folder has shards of other
            items or encoders, or another number of them.
        OSError: a file cannot be read, or the folder not be written to.
    """
    options = options or EncodeOptions()
    items = _read(source)
    shards.check_division(shard, out)
    loaded = _Encoders(items, options)
    fingerprint, rows = loaded.fingerprint(), shards.rows_of(shard, len(items.table.ids))
    if shards.is_whole(shard, out, fingerprint):
        return None
    computed = 0
    with VectorCache(default_path()) as users, VectorCache(shards.file_of(shard, out)) as own:
        settings = EncodingSettings(shards.ShardCache(own, users), options.batch_size, options.workers)
        if items.texts is not None:
            texts = dict(list(items.texts.items())[rows])
            with progress("texts", len(texts)) as on_items:
                computed += store_texts(texts, loaded.text, settings._replace(on_items=on_items))
        if items.images is not None:
            images = dict(list(items.images.items())[rows])
            with progress("images", len(images)) as on_items:
                computed += store_images(images, loaded.image, settings._replace(on_items=on_items))
    shards.finish(shard, out, fingerprint)
    return computed


@dataclass(frozen=True, eq=False)
class _Encoders:
    """The encoders of items, each of which is loaded when it is first asked for."""

    items: RawItems
    options: EncodeOptions

    @cached_property
    def text(self) -> TextEncoder:
        return encoders.text_encoder(self.options.text_encoder, device=self.options.device)

    @cached_property
    def image(self) -> ImageEncoder:
        return encoders.image_encoder(self.options.image_encoder, device=self.options.device)

    def fingerprint(self) -> str:
        """Return what shards of these items by these encoders have in common."""
        identities = {}
        if self.items.texts is not None:
            identities["text"] = self.text.identity
        if self.items.images is not None:
            identities["image"] = self.image.identity
        return shards.fingerprint_of(self.items.table.ids, identities)


def _read(source: ItemSource) -> RawItems:
    items = source.read()
    if items.texts is None and items.images is None:
        raise ValueError("nothing to encode; give --text-column, --image-dir or --image-column")
    return items


def _recipe(source: ItemSource, options: EncodeOptions) -> Recipe:
    by_id = source.image_dir is not None
    return Recipe(
        source.id_column, source.text_columns, options.text_encoder, source.image_column, by_id, options.image_encoder
    )


def write_features_info(out: Path, ids: Sequence[str], reports: Sequence[EncodingReport], recipe: Recipe) -> None:
    """Write what belongs to feature files: item ids, report, recipe and, last of all, the manifest.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_ids(out, ids)
    rows = (
        (report.modality, item, warning)
        for report in reports
        for item, warnings in report.warnings.items()
        for warning in warnings
    )
    write_warnings(out / DETAILS, ("modality", "item", "warning"), rows)
    summaries = [summary_dict(report) for report in reports]
    write_text(out / SUMMARY, json.dumps(summaries, indent=2, ensure_ascii=False) + "\n")
    recipe.write(out)
    finish_update(out, [report.modality for report in reports])


def summary_dict(report: EncodingReport) -> dict[str, object]:
    """Return a report as JSON holds it: counts of warnings instead of single items."""
    return {**asdict(report), "warnings": report.counts}


def encode_new_items(
    path: Path,
    dataset: Dataset,
    *,
    image_dir: Path | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> EncodedItems:
    """Return the items of a folder that ``flatrec encode`` wrote, or those of a table, encoded like the data set's own.

    Args:
        path: folder or table.
        dataset: data set whose items were encoded; ``encode.json`` beside its features says how.
        image_dir: folder of the images of the table's items, whose names are the item ids.
        device: torch device that computes.
        progress: opens a progress display for each modality.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there is no ``encode.json``, or the table lacks a column that it names.
    """
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        if image_dir is not None:
            raise ValueError(f"--image-dir is for a table of new items, but {path} is none; leave it out")
        return read_encoded(path)
    recipe = _recipe_of(dataset)
    if recipe is None:
        raise ValueError(
            f"{path} is a table, and no {RECIPE} beside the run's data tells how to encode it; encode it first "
            f"(flatrec encode {path} --out FOLDER) and give the folder"
        )
    with tempfile.TemporaryDirectory() as folder:
        options = EncodeOptions(text_encoder=recipe.text_encoder, image_encoder=recipe.image_encoder, device=device)
        encode_table(recipe.source(path, image_dir), Path(folder), options, progress=progress)
        return read_encoded(Path(folder))


def read_new_item_table(path: Path, dataset: Dataset) -> ItemTable | None:
    """Return the table of new items that :func:`encode_new_items` encodes; None for a folder of encoded ones.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: it is malformed, or lacks the column of ids that ``encode.json`` names.
    """
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        return None
    recipe = _recipe_of(dataset)
    return read_items(path, recipe.id_column if recipe is not None else None)


def _recipe_of(dataset: Dataset) -> Recipe | None:
    """Return how the items of a data set were encoded; None if no ``encode.json`` is beside its features."""
    return None if dataset.source is None else recipe_of_source(Path(dataset.source))


def recipe_of_source(source: Path) -> Recipe | None:
    """Return how the items of data were encoded; None if no ``encode.json`` is beside their features.

    Args:
        source: the folder of the data, or the file that describes them.

    Raises:
        ValueError: ``encode.json`` or the description is damaged.
    """
    description = source / DESCRIPTION if source.is_dir() else source
    folders = [source]
    if description.suffix.lower() == ".toml" and description.is_file():
        folders = [feature.path.parent for feature in parse(description).features.values()]
    return next((recipe for recipe in map(read_recipe, folders) if recipe is not None), None)
