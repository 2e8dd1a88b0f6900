"""Prepare a data set from Amazon's files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.config.split import SplitSettings
from flatrec.data.amazon.images import read_image_features
from flatrec.data.amazon.metadata import PRODUCT_SCHEMA, read_products
from flatrec.data.amazon.reviews import Reviews, read_reviews
from flatrec.data.builder import EventSettings
from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats import mmrec
from flatrec.data.log import InteractionLog
from flatrec.data.preparation import REMOVED, REPORT, removed_counts
from flatrec.data.splitting import split_log
from flatrec.data.vocabulary import Vocabulary

ITEMS = "items.parquet"


@dataclass(frozen=True)
class AmazonFiles:
    """Amazon's files."""

    reviews: Path  # the reviews, in JSON lines
    meta: Path | None = None  # the metadata of items; None without
    image_features: Path | None = None  # the binary file of image features; None without


@dataclass(frozen=True)
class PrepareReport:
    """The prepared data set, and counts."""

    dataset: Dataset  # the data set that was written
    reviews: int  # number of reviews that were read
    interactions: int  # number of distinct interactions before the k-core filter
    without_meta: int  # number of items that are not in the metadata
    without_text: int  # number of items in the metadata without any text
    without_image: int | None  # number of items without image features; None if there is no file of them
    skipped: dict[str, dict[str, int]]  # number of skipped lines, by file and reason

    def as_dict(self) -> dict[str, object]:
        """Return the counts as ``prepare.json`` has them."""
        counts = {key: value for key, value in vars(self).items() if key != "dataset"}
        data = self.dataset
        left = {"users": data.n_users, "items": data.n_items, "kept interactions": len(data.interactions)}
        counts = {key.replace("_", " "): value for key, value in counts.items()}
        return {"name": data.name, **left, **counts, REMOVED: removed_counts(data.cleaning_report)}


def prepare(
    sources: AmazonFiles,
    out: Path,
    split: SplitSettings,
    *,
    k_core: int = 5,
    name: str,
    min_rating: float = 0.0,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> PrepareReport:
    """Write a folder in the format of MMRec, with the texts and image addresses of all items.

    The indices of items follow their ids in alphabetical order. ``items.parquet`` gets a column ``text``, for encoding.

    Args:
        sources: Amazon's files.
        out: the folder, created if it does not exist.
        split: how to split.
        k_core: minimum number of interactions per user and per item.
        name: the name of the data set.
        min_rating: reviews with a lower rating are skipped.
        on_bytes: is called with the number of bytes that were read.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is damaged or does not fit the others, k_core is negative, or nothing is left.
        OSError: the folder cannot be written to.
    """
    k_core = EventSettings(k_core).k_core  # refuses a negative one
    reviews = read_reviews(sources.reviews, k_core=k_core, min_rating=min_rating, on_bytes=on_bytes)
    skipped = {sources.reviews.name: dict(reviews.skipped)}
    bare = _dataset(name, reviews, split)
    rows = {item: index for index, item in enumerate(bare.items)}
    products = pl.DataFrame(schema=PRODUCT_SCHEMA)
    if sources.meta is not None:
        products, left_out = read_products(sources.meta, rows, on_bytes=on_bytes)
        skipped[sources.meta.name] = dict(left_out)
    features = {}
    if sources.image_features is not None:
        features["image"] = read_image_features(sources.image_features, rows, on_bytes=on_bytes)
    table = item_table(list(bare.items), products)
    dataset = replace(
        bare,
        features=features,
        titles=tuple(table["title"]) if len(products) else None,
        cleaning_report=_cleaning_report(reviews, bare, skipped, k_core),
    )
    prepared = PrepareReport(
        dataset,
        reviews.read,
        reviews.distinct,
        without_meta=len(rows) - len(products),
        without_text=int((products["text"] == "").sum()),
        without_image=int((~features["image"].present).sum()) if features else None,
        skipped=skipped,
    )
    _write(prepared, table, out)
    return prepared


def _dataset(name: str, reviews: Reviews, settings: SplitSettings) -> Dataset:
    n_users, n_items = len(reviews.user_ids), len(reviews.item_ids)
    log = InteractionLog(reviews.users, reviews.items, n_users, n_items, reviews.timestamps)
    interactions, split_report = split_log(log, settings, name)
    return Dataset(
        name,
        interactions,
        Vocabulary("user", reviews.user_ids.to_list()),
        Vocabulary("item", reviews.item_ids.to_list()),
        split_report=split_report,
    )


def _cleaning_report(
    reviews: Reviews, dataset: Dataset, skipped: dict[str, dict[str, int]], k_core: int
) -> CleaningReport:
    filtered = reviews.distinct - len(dataset.interactions)
    tables = (TableCleaningReport(file, skipped=tuple(reasons.items())) for file, reasons in skipped.items() if reasons)
    return CleaningReport(
        prepared_repeats=reviews.read - reviews.distinct,
        filtered_users=reviews.filtered_users,
        filtered_items=reviews.filtered_items,
        filtered_interactions=filtered,
        k_core=k_core if filtered else 0,
        tables=tuple(tables),
    )


def item_table(items: Sequence[str], products: pl.DataFrame) -> pl.DataFrame:
    """Return one row per item in the order of the indices; an item without a title gets its id as title."""
    ids = pl.DataFrame({"itemID": range(len(items)), "id": items}, {"itemID": pl.Int64, "id": pl.String})
    table = ids.join(products, on="itemID", how="left", maintain_order="left").with_columns(
        pl.col(pl.String).fill_null("")
    )
    return table.with_columns(title=pl.when(pl.col("title") == "").then("id").otherwise("title"))


def _write(prepared: PrepareReport, table: pl.DataFrame, out: Path) -> None:
    report = json.dumps(prepared.as_dict(), indent=2, ensure_ascii=False) + "\n"
    extra_files: dict[str, mmrec.Writer] = {
        ITEMS: table.write_parquet,
        REPORT: lambda file: file.write(report.encode()),
    }
    mmrec.write(prepared.dataset, out, extra_files, manifest=True)
