"""Items that a data set does not hold, told apart from those that it holds and those without features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from flatrec.data.builder import IndexedFeatures
from flatrec.data.dataset import Dataset
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features, align
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.cold_start.nearest_items import comparable, has_features


@dataclass(frozen=True, eq=False)
class NewItems:
    """New items with at least one modality that known items have too."""

    ids: tuple[str, ...]  # original ids of the new items
    features: Mapping[str, Features]  # for every modality of the data set; missing where an item has none
    rows: Int64[ndarray, "n_new"]  # the row of each new item among all items that were read
    already_known: tuple[str, ...] = ()  # ids that were read, but are in the data set
    without_features: tuple[str, ...] = ()  # ids of new items that lack every modality, so that they cannot be scored


def read_new_items(encoded: EncodedItems, dataset: Dataset, source: str) -> NewItems:
    """Return the new items among encoded items; messages call these by their source, such as their folder.

    Raises:
        ValueError: an id repeats, a modality is not one of the data set's or has another width, or a value is not
            finite; or no new item is left.
    """
    check_modalities(encoded.features, dataset, source)
    try:
        ids = tuple(Vocabulary("item", encoded.ids))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    already_known = tuple(item for item in ids if item in dataset.items)
    if len(already_known) == len(ids):
        raise ValueError(
            f"{source} has no new item: all of its {len(ids)} ids are in the data set {dataset.name!r}; encode items "
            "that it does not hold, or leave out --new-items"
        )
    rows = np.array([row for row, item in enumerate(ids) if item not in dataset.items], dtype=np.int64)
    new_ids = [ids[row] for row in rows.tolist()]
    features = {
        modality: _features(encoded.features.get(modality), new_ids, known.width)
        for modality, known in dataset.features.items()
    }
    items = with_features(new_ids, features, dataset)
    if not items.ids:
        raise ValueError(
            f"none of the {len(new_ids)} new items of {source} has a modality that the trained items have "
            f"({', '.join(sorted(dataset.features))}), so none can be scored; encode their texts or images"
        )
    return NewItems(items.ids, items.features, rows[items.rows], already_known, items.without_features)


def with_features(ids: Sequence[str], features: Mapping[str, Features], dataset: Dataset) -> NewItems:
    """Return the items that have a modality of the data set, and list the others as without features."""
    usable = np.zeros(len(ids), dtype=np.bool_)
    for name in comparable(dataset):
        usable |= has_features(features[name])
    rows = np.flatnonzero(usable)
    return NewItems(
        tuple(ids[row] for row in rows.tolist()),
        {name: table.take(rows) for name, table in features.items()},
        rows,
        without_features=tuple(ids[row] for row in np.flatnonzero(~usable).tolist()),
    )


def check_modalities(features: Mapping[str, IndexedFeatures], dataset: Dataset, source: str) -> None:
    """Make sure that new items have only modalities that were trained on, in the same widths.

    Raises:
        ValueError: a modality is not one of the data set's, or has another width.
    """
    expected = {name: table.width for name, table in dataset.features.items()}
    widths = {name: table.values.shape[1] for name, table in features.items()}
    if not widths.items() <= expected.items():
        raise ValueError(
            f"{source} has features of other modalities or widths ({_listed(widths)}) than the run was trained on "
            f"({_listed(expected)}); encode the new items with the same encoders, under the same names"
        )


def _listed(widths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {width}" for name, width in sorted(widths.items()))


def _features(table: IndexedFeatures | None, ids: list[str], width: int) -> Features:
    """Return features in the order of the ids; missing for an item without a row, or without the modality at all."""
    if table is None or set(ids).isdisjoint(table.ids):
        return Features(np.zeros((len(ids), width), dtype=np.float32), np.zeros(len(ids), dtype=np.bool_))
    return align(list(table.ids), table.values, ids, table.source)
