"""Frames of polars that hold the items and features of a data set, which anything with the Arrow interface can take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from flatrec.data.dataset import Dataset


def items_frame(dataset: Dataset) -> pl.DataFrame:
    """Return the items; see :meth:`flatrec.data.dataset.Dataset.items_frame`."""
    return item_table(dataset.items, dataset.titles, dataset.images, dataset.item_columns)


def item_table(
    ids: Iterable[str],
    titles: Sequence[str | None] | None,
    images: Sequence[Path | None] | None,
    columns: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return a row per item: ``item``, ``title`` and ``image`` if there are any, and the item columns.

    Paths of images are absolute, so that they lead to the same files from any folder.
    """
    series = [pl.Series("item", list(ids), dtype=pl.String)]
    if titles is not None:
        series.append(pl.Series("title", titles, dtype=pl.String))
    if images is not None:
        names = [None if image is None else str(image.absolute()) for image in images]
        series.append(pl.Series("image", names, dtype=pl.String))
    return pl.DataFrame(series + (columns.get_columns() if columns is not None else []))


def features_frame(dataset: Dataset, modality: str) -> pl.DataFrame:
    """Return the features of a modality; see :meth:`flatrec.data.dataset.Dataset.features_frame`."""
    if modality not in dataset.features:
        there = ", ".join(dataset.features) or "none"
        raise ValueError(f"{dataset.name} has no features {modality!r}; it has {there}")
    features = dataset.features[modality]
    items = pl.Series("item", list(dataset.items), dtype=pl.String)
    return pl.DataFrame(
        [items.filter(pl.Series(features.present)), pl.Series(modality, features.values[features.present])]
    )
