"""From Amazon's files to a data set folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.data.amazon.images import read_image_features
from flatrec.data.amazon.metadata import Product, read_products
from flatrec.data.amazon.reviews import read_reviews
from flatrec.data.builder import SplitSettings, build_dataset
from flatrec.data.dataset import Dataset
from flatrec.data.formats import mmrec

REPORT, ITEMS = "prepare.json", "items.parquet"


@dataclass(frozen=True)
class AmazonFiles:
    """Amazon's files.

    Args:
        reviews: JSON lines of reviews.
        meta: metadata of items, if there is any.
        image_features: binary file of image features, if there is one.
    """

    reviews: Path
    meta: Path | None = None
    image_features: Path | None = None


@dataclass(frozen=True)
class PrepareReport:
    """What came of it, by count.

    Args:
        dataset: what was written.
        reviews: that were read.
        interactions: distinct ones before the filter.
        without_meta: items that the metadata do not have.
        without_text: items that have no text in them.
        without_image: items without image features; None where no features were given.
        skipped: lines that were left out, by file and reason.
    """

    dataset: Dataset
    reviews: int
    interactions: int
    without_meta: int
    without_text: int
    without_image: int | None
    skipped: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, object]:
        """As ``prepare.json`` has it."""
        counts = {key: value for key, value in vars(self).items() if key != "dataset"}
        one = self.dataset
        kept = {"users": one.n_users, "items": one.n_items, "kept interactions": len(one.interactions.users)}
        return {"name": one.name, **kept, **{key.replace("_", " "): value for key, value in counts.items()}}


def prepare(
    sources: AmazonFiles,
    out: Path,
    settings: SplitSettings,
    *,
    name: str,
    min_rating: float = 0.0,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> PrepareReport:
    """Write a folder in the format of MMRec, and beside it texts and addresses of images for all items.

    Items are numbered by their ids in alphabetical order. ``items.parquet`` gets a column ``text``, for encoding.

    Args:
        sources: Amazon's files.
        out: made if it is not there.
        settings: filter and split.
        name: of the data set.
        min_rating: rating below which a review is left out.
        on_bytes: hears of bytes as they are read.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is damaged or does not fit the others, or nothing is left.
        OSError: the folder cannot be written to.
    """
    reviews = read_reviews(sources.reviews, k_core=settings.k_core, min_rating=min_rating, on_bytes=on_bytes)
    skipped = {sources.reviews.name: dict(reviews.skipped.counts)}
    bare = build_dataset(name, reviews.interactions, settings=SplitSettings(0, settings.seed, settings.ratios))
    products: dict[str, Product] = {}
    if sources.meta is not None:
        products, left_out = read_products(sources.meta, set(bare.items), on_bytes=on_bytes)
        skipped[sources.meta.name] = dict(left_out.counts)
    features = {}
    if sources.image_features is not None:
        numbers = {item: number for number, item in enumerate(bare.items)}
        features["image"] = read_image_features(sources.image_features, numbers, on_bytes=on_bytes)
    named = tuple(products[item].title or item if item in products else item for item in bare.items)
    dataset = replace(bare, features=features, titles=named if products else None)
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
    known = [products.get(item, Product()) for item in dataset.items]
    rows = [
        {"itemID": number, "id": item, **asdict(one), "categories": " > ".join(one.categories), "text": one.text}
        for number, (item, one) in enumerate(zip(dataset.items, known, strict=True))
    ]
    texts = {key: pl.Int64 if key == "itemID" else pl.String for key in rows[0]}
    frame = pl.DataFrame(rows, schema=texts).rename({"image": "image_address"})
    named = pl.Series("title", dataset.titles or dataset.items)
    report = json.dumps(prepared.as_dict(), indent=2, ensure_ascii=False) + "\n"
    beside: dict[str, mmrec.Writer] = {
        ITEMS: frame.with_columns(named).write_parquet,
        REPORT: lambda file: file.write(report.encode()),
    }
    mmrec.write(dataset, out, beside, manifest=True)
