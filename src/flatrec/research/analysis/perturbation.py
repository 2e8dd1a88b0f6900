"""Disturbances of a trained model: noise, and items whose features are edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from torch import Generator, Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.models import Model
from flatrec.models.features import FeatureTables
from flatrec.research.analysis.landscape import moving

BLOCK_ENTRIES = 4_000_000  # similarities held at once, 16 MB
IMAGE, TEXT = "image", "text"
HOLDERS = (Model, nn.Embedding, nn.ParameterDict)


def item_embeddings(model: Model, n_users: int, n_items: int) -> list[Float[Tensor, "n_items _"]]:
    """Return views of the trained rows of items; none where a model makes items of their features only.

    A table is a matrix that a model holds itself, or in an ``nn.Embedding`` or ``nn.ParameterDict``: a layer's weights
    may have as many rows by chance, and feature tables are features. A table of n_users + n_items rows has users first,
    then items; one of n_items rows is of items. If there are as many users, size cannot tell: then a part of its dotted
    name must begin with ``item``. A table no wider than the number of modalities weighs them (GRCN, DualGNN) and is
    no embedding.
    """
    modalities = max((len(part) for part in model.modules() if isinstance(part, FeatureTables)), default=0)
    held = {id(one) for part in model.modules() if isinstance(part, HOLDERS) for one in part.parameters(recurse=False)}
    rows = []
    for name, table in model.named_parameters():
        if id(table) not in held or table.ndim != 2 or table.shape[1] <= modalities:
            continue
        if len(table) == n_users + n_items:
            rows.append(table.detach()[n_users:])
        elif len(table) == n_items and (n_items != n_users or ".item" in f".{name}"):
            rows.append(table.detach())
    return rows


@contextmanager
def embedding_noise(
    tables: Sequence[Float[Tensor, "n_items _"]], variance: float, generator: Generator
) -> Iterator[None]:
    """Add Gaussian noise to tables inside the block; they are restored bit for bit after it, also when it raises.

    Raises:
        ValueError: the variance is negative.
    """
    _check(variance)
    with moving(tables):
        with torch.no_grad():
            for table in tables if variance else ():  # adding 0 would turn -0 into 0
                table.add_((torch.randn(table.shape, generator=generator) * variance**0.5).to(table))
        yield


def noisy(dataset: Dataset, variance: float, generator: Generator) -> Dataset:
    """Return the data set with Gaussian noise on all features of every modality; missing features stay missing.

    Variance 0 gives the data set itself.

    Raises:
        ValueError: the variance is negative.
    """
    _check(variance)
    if variance == 0:
        return dataset
    features = {}
    for name in sorted(dataset.features):
        one = dataset.features[name]
        noise = torch.randn(one.values.shape, generator=generator).numpy() * np.float32(variance**0.5)
        features[name] = Features(one.values + noise, one.present)
    return dataset.with_features(features)


@dataclass(frozen=True, eq=False)
class AdjustedDataset:
    """A data set in which the features of some items are edited.

    Args:
        dataset: the data set.
        items: indices of the edited items.
    """

    dataset: Dataset
    items: Int64[ndarray, "n_adjusted"]


def adjust_features(dataset: Dataset, fraction: float, generator: Generator, *, weight: float = 0.5) -> AdjustedDataset:
    """Edit the features of each item with a probability, for data without raw texts and images.

    The features of the item whose image is nearest, by cosine, take the place of an edited text and image: its text
    features replace those of the item, and its image features are blended into those of the item. Without images, the
    nearest item by text is used. Only an item that has both features is used for another. An item without the features
    that are compared has no nearest item and stays as it is, features that an item lacks stay missing, and other
    modalities stay as they are.

    Args:
        dataset: with ``text`` or ``image`` features.
        fraction: probability, in [0, 1].
        generator: draws the items.
        weight: weight of the other image in the blend, in [0, 1].

    Raises:
        ValueError: fraction or weight are out of range, or the data set has neither text nor image features.
    """
    if not 0 <= fraction <= 1 or not 0 <= weight <= 1:
        raise ValueError(f"fraction and weight must lie in [0, 1], but are {fraction} and {weight}")
    by = next((name for name in (IMAGE, TEXT) if name in dataset.features), None)
    if by is None:
        raise ValueError(
            f"adjustment needs text or image features, but data set {dataset.name!r} has "
            f"{', '.join(sorted(dataset.features)) or 'none'}"
        )
    drawn = torch.rand(dataset.n_items, generator=generator).numpy() < fraction
    able = np.logical_and.reduce([dataset.features[name].present for name in (IMAGE, TEXT) if name in dataset.features])
    has_other = able.sum() - able > 0
    items = np.flatnonzero(drawn & dataset.features[by].present & has_other)
    others = _nearest(dataset.features[by], items, able)
    features = dict(dataset.features)
    for name, mix in ((TEXT, 1.0), (IMAGE, weight)):
        if name in features:
            features[name] = _mixed(features[name], items, others, mix)
    return AdjustedDataset(dataset.with_features(features), items)


def relative_drop(original: float, perturbed: float) -> float:
    """Return how much of a score, which must be above 0, is lost, relative to it."""
    return (original - perturbed) / original


def _check(variance: float) -> None:
    if not 0 <= variance < float("inf"):
        raise ValueError(f"variance must be finite and at least 0, but is {variance}")


def _mixed(
    features: Features, items: Int64[ndarray, "n_adjusted"], others: Int64[ndarray, "n_adjusted"], weight: float
) -> Features:
    """Mix rows of other items into those of some items, where both are present."""
    mixed: Bool[ndarray, "n_adjusted"] = features.present[items] & features.present[others]
    items, others = items[mixed], others[mixed]
    values = features.values.copy()
    values[items] = (1 - weight) * features.values[items] + weight * features.values[others]
    return Features(values, features.present)


def _nearest(
    features: Features, items: Int64[ndarray, "n_adjusted"], able: Bool[ndarray, "n_items"]
) -> Int64[ndarray, "n_adjusted"]:
    """Return the nearest other item by cosine for each item, among those that have all features."""
    lengths = np.linalg.norm(features.values, axis=1, keepdims=True)
    rows: Float32[ndarray, "n_items width"] = features.values / np.where(lengths > 0, lengths, 1)
    step = max(1, BLOCK_ENTRIES // len(rows))
    nearest = np.empty(len(items), dtype=np.int64)
    for start in range(0, len(items), step):
        block = items[start : start + step]
        alike = rows[block] @ rows.T
        alike[:, ~able] = -np.inf
        alike[np.arange(len(block)), block] = -np.inf
        nearest[start : start + step] = alike.argmax(axis=1)
    return nearest
