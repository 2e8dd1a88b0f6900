"""Prepare a data set from Amazon's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.config.split import SplitSettings
from flatrec.data.amazon.images import read_image_features
from flatrec.data.amazon.metadata import Product, read_products
from flatrec.data.amazon.reviews import read_reviews
from flatrec.data.builder import build_dataset
from flatrec.data.dataset import Dataset
from flatrec.data.formats import mmrec

REPORT, ITEMS = "prepare.json", "items.parquet"


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
        filtered = {"users": data.n_users, "items": data.n_items, "kept interactions": len(data.interactions)}
        return {"name": data.name, **filtered, **{key.replace("_", " "): value for key, value in counts.items()}}


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
        ValueError: a file is damaged or does not fit the others, or nothing is left.
        OSError: the folder cannot be written to.
    """
    reviews = read_reviews(sources.reviews, k_core=k_core, min_rating=min_rating, on_bytes=on_bytes)
    skipped = {sources.reviews.name: dict(reviews.skipped)}
    bare = build_dataset(name, reviews.interactions, settings=split)
    products: dict[str, Product] = {}
    if sources.meta is not None:
        products, left_out = read_products(sources.meta, set(bare.items), on_bytes=on_bytes)
        skipped[sources.meta.name] = dict(left_out)
    features = {}
    if sources.image_features is not None:
        rows = {item: index for index, item in enumerate(bare.items)}
        features["image"] = read_image_features(sources.image_features, rows, on_bytes=on_bytes)
    titles = tuple(products[item].title or item if item in products else item for item in bare.items)
    dataset = replace(bare, features=features, titles=titles if products else None)
    prepared = PrepareReport(
        dataset,
        reviews.read,
        reviews.distinct,
        without_meta=sum(item not in products for item in bare.items),
        without_text=sum(not products[item].text for item in bare.items if item in products),
        without_image=int((~features["image"].present).sum()) if features else None,
        skipped=skipped,
    )
    _write(prepared, products, out)
    return prepared


def _write(prepared: PrepareReport, products: dict[str, Product], out: Path) -> None:
    dataset = prepared.dataset
    metadata = [products.get(item, Product()) for item in dataset.items]
    rows = [
        {
            "itemID": index,
            "id": item,
            **asdict(product),
            "categories": " > ".join(product.categories),
            "text": product.text,
        }
        for index, (item, product) in enumerate(zip(dataset.items, metadata, strict=True))
    ]
    texts = {key: pl.Int64 if key == "itemID" else pl.String for key in rows[0]}
    frame = pl.DataFrame(rows, schema=texts).rename({"image": "image_address"})
    titles = pl.Series("title", dataset.titles or dataset.items)
    report = json.dumps(prepared.as_dict(), indent=2, ensure_ascii=False) + "\n"
    extra_files: dict[str, mmrec.Writer] = {
        ITEMS: frame.with_columns(titles).write_parquet,
        REPORT: lambda file: file.write(report.encode()),
    }
    mmrec.write(dataset, out, extra_files, manifest=True)
