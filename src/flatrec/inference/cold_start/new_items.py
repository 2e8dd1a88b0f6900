"""Items that a data set does not know, told apart from those that it knows and those that cannot be placed."""

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
from flatrec.inference.cold_start.nearest_items import comparable, directed


@dataclass(frozen=True, eq=False)
class NewItems:
    """New items with at least one modality that known items have too.

    Args:
        ids: of these items.
        features: of these items, for every modality of the data set; what an item lacks is missing.
        rows: which of the items that were given these are.
        known: ids that were given, but are in the data set already.
        featureless: ids of new items that lack every modality, so that nothing can be said of them.
    """

    ids: tuple[str, ...]
    features: Mapping[str, Features]
    rows: Int64[ndarray, "n_new"]
    known: tuple[str, ...] = ()
    featureless: tuple[str, ...] = ()


def read_new_items(encoded: EncodedItems, dataset: Dataset, name: str) -> NewItems:
    """What is new among encoded items.

    Args:
        encoded: ids and features, of some or all modalities of the data set.
        dataset: what was trained on.
        name: how messages call the items, such as their folder.

    Raises:
        ValueError: an id repeats, a modality is not one of the data set's or has another width, or a number is not
            finite; or no new item is left.
    """
    check_modalities(encoded.features, dataset, name)
    try:
        ids = tuple(Vocabulary("item", encoded.ids))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    known = tuple(one for one in ids if one in dataset.items)
    if len(known) == len(ids):
        raise ValueError(
            f"{name} has no new item: all of its {len(ids)} ids are in the data set {dataset.name!r}; encode items "
            "that it does not hold, or leave out --new-items"
        )
    rows = np.array([row for row, one in enumerate(ids) if one not in dataset.items], dtype=np.int64)
    new = [ids[row] for row in rows.tolist()]
    features = {
        modality: _features(encoded.features.get(modality), new, one.width)
        for modality, one in dataset.features.items()
    }
    found = separated(new, features, dataset)
    if not found.ids:
        raise ValueError(
            f"none of the {len(new)} new items of {name} has a modality that the trained items have "
            f"({', '.join(sorted(dataset.features))}), so none can be scored; encode their texts or images"
        )
    return NewItems(found.ids, found.features, rows[found.rows], known, found.featureless)


def separated(ids: Sequence[str], features: Mapping[str, Features], dataset: Dataset) -> NewItems:
    """New items with features in the modalities of a data set, without those that lack all of them."""
    usable = np.zeros(len(ids), dtype=np.bool_)
    for name in comparable(dataset):
        usable |= directed(features[name])
    rows = np.flatnonzero(usable)
    return NewItems(
        tuple(ids[row] for row in rows.tolist()),
        {name: one.take(rows) for name, one in features.items()},
        rows,
        featureless=tuple(ids[row] for row in np.flatnonzero(~usable).tolist()),
    )


def check_modalities(features: Mapping[str, IndexedFeatures], dataset: Dataset, name: str) -> None:
    """Make sure that new items have no modality but those trained on, in their widths.

    Raises:
        ValueError: a modality is not one of the data set's, or has another width.
    """
    trained = ", ".join(f"{key} {one.width}" for key, one in sorted(dataset.features.items()))
    came = ", ".join(f"{key} {one.values.shape[1]}" for key, one in sorted(features.items()))
    for key, one in features.items():
        if key not in dataset.features or one.values.shape[1] != dataset.features[key].width:
            raise ValueError(
                f"{name} has features of other modalities or widths ({came}) than the run was trained on ({trained}); "
                "encode the new items with the same encoders, under the same names"
            )


def _features(rows: IndexedFeatures | None, ids: list[str], width: int) -> Features:
    """Features in the order of the ids; of an item without a row, or without the modality at all, missing."""
    if rows is None or set(ids).isdisjoint(rows.ids):
        return Features(np.zeros((len(ids), width), dtype=np.float32), np.zeros(len(ids), dtype=np.bool_))
    return align(list(rows.ids), rows.values, ids, rows.source)
