"""Frames of polars that hold the items and features of a data set, which anything with the Arrow interface can take."""

from __future__ import annotations

import polars as pl

from flatrec.data.dataset import Dataset


def items_frame(dataset: Dataset) -> pl.DataFrame:
    """Return the items; see :meth:`flatrec.data.dataset.Dataset.items_frame`."""
    columns = [pl.Series("item", list(dataset.items), dtype=pl.String)]
    if dataset.titles is not None:
        columns.append(pl.Series("title", dataset.titles, dtype=pl.String))
    if dataset.images is not None:
        names = [None if image is None else str(image) for image in dataset.images]
        columns.append(pl.Series("image", names, dtype=pl.String))
    if dataset.item_columns is not None:
        columns += dataset.item_columns.get_columns()
    return pl.DataFrame(columns)


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
