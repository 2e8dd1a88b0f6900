"""Items that a recommender does not hold, told apart from those that it holds and those without features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features, align
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.known_items import KnownItems, has_features


@dataclass(frozen=True, eq=False)
class NewItems:
    """New items with at least one modality that known items have too."""

    ids: tuple[str, ...]  # original ids of the new items
    features: Mapping[str, Features]  # for every modality of the known items; missing where an item has none
    rows: Int64[ndarray, "n_new"]  # the row of each new item among all items that were read
    already_known: tuple[str, ...] = ()  # ids that were read, but are known
    without_features: tuple[str, ...] = ()  # ids of new items that lack every modality, so that they cannot be scored


def read_new_items(encoded: EncodedItems, known: KnownItems, source: str) -> NewItems:
    """Return the new items among encoded items; messages call these by their source, such as their folder.

    Raises:
        ValueError: an id repeats, a modality is not one of the known items' or has another width, or a value is not
            finite; or no new item is left.
    """
    check_modalities(encoded.features, known, source)
    try:
        ids = tuple(Vocabulary("item", encoded.ids))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    already_known = tuple(item for item in ids if item in known.ids)
    if len(already_known) == len(ids):
        raise ValueError(
            f"{source} has no new item: all of its {len(ids)} ids are in {known.source}; encode items "
            "that it does not hold"
        )
    rows = np.array([row for row, item in enumerate(ids) if item not in known.ids], dtype=np.int64)
    new_ids = [ids[row] for row in rows.tolist()]
    features = {
        modality: _features(encoded.features.get(modality), new_ids, table.width)
        for modality, table in known.features.items()
    }
    items = with_features(new_ids, features, known)
    if not items.ids:
        raise ValueError(
            f"none of the {len(new_ids)} new items of {source} has a modality that the trained items have "
            f"({', '.join(sorted(known.features))}), so none can be scored; encode their texts or images"
        )
    return NewItems(items.ids, items.features, rows[items.rows], already_known, items.without_features)


def with_features(ids: Sequence[str], features: Mapping[str, Features], known: KnownItems) -> NewItems:
    """Return the items that have a modality of the known items, and list the others as without features."""
    usable = np.zeros(len(ids), dtype=np.bool_)
    for name in known.comparable():
        usable |= has_features(features[name])
    rows = np.flatnonzero(usable)
    return NewItems(
        tuple(ids[row] for row in rows.tolist()),
        {name: table.take(rows) for name, table in features.items()},
        rows,
        without_features=tuple(ids[row] for row in np.flatnonzero(~usable).tolist()),
    )


def check_modalities(features: Mapping[str, IndexedFeatures], known: KnownItems, source: str) -> None:
    """Make sure that new items have only modalities that were trained on, in the same widths.

    Raises:
        ValueError: a modality is not one of the known items', or has another width.
    """
    expected = {name: table.width for name, table in known.features.items()}
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
