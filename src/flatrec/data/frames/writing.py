"""Frames of polars that hold a data set, which anything with the Arrow interface can take."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS


def interactions_frame(dataset: Dataset) -> pl.DataFrame:
    """Return the interactions; see :meth:`flatrec.data.dataset.Dataset.to_frame`."""
    interactions = dataset.interactions
    columns = [
        _texts("user", list(dataset.users), interactions.users),
        _texts("item", list(dataset.items), interactions.items),
        _texts("split", list(SPLITS), interactions.splits),
    ]
    if interactions.timestamps is not None:
        columns.append(pl.Series("timestamp", interactions.timestamps))
    if interactions.weights is not None:
        columns.append(pl.Series("weight", interactions.weights))
    return pl.DataFrame(columns)


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


def _texts(name: str, texts: list[str], indices: Int[ndarray, "n"]) -> pl.Series:
    return pl.Series(name, texts, dtype=pl.String).gather(np.asarray(indices, dtype=np.int64))
