"""The items of a recommender: what can be shown of them, filtered by, and said without a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.utils.messages import shortlist

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Items in the order of their indices; immutable.

    Args:
        ids: original item ids.
        popularity: the sum of the weights of each item's training interactions: their number without weights.
        new: which items were joined after training.
        titles: one readable name per item, where there are any.
        images: one image file per item, None for an item without, where there are any.
        columns: further columns of items, such as prices and categories, which filters can use; one row per item.
        features: features by modality; may be empty.

    Raises:
        ValueError: something does not have one entry per item.
    """

    ids: Vocabulary
    popularity: Float64[ndarray, "n_items"]
    new: Bool[ndarray, "n_items"]
    titles: tuple[str | None, ...] | None = None
    images: tuple[Path | None, ...] | None = None
    columns: pl.DataFrame | None = None
    features: Mapping[str, Features] = field(default_factory=dict)

    def __post_init__(self) -> None:
        optional = {"titles": self.titles, "images": self.images, "columns": self.columns}
        sizes = {"popularity": len(self.popularity), "new": len(self.new)}
        sizes |= {name: len(values) for name, values in optional.items() if values is not None}
        for name, size in sizes.items():
            if size != len(self.ids):
                raise ValueError(f"{name} must have one entry for each of {len(self.ids)} items, but has {size}")

    @classmethod
    def of(cls, dataset: Dataset) -> Catalog:
        """Return the items of the data set that a model was trained on."""
        return cls(
            ids=dataset.items,
            popularity=dataset.interactions.item_weights("train"),
            new=np.zeros(dataset.n_items, dtype=np.bool_),
            titles=dataset.titles,
            images=dataset.images,
            columns=dataset.item_columns,
            features=dataset.features,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def joined(
        self,
        ids: Sequence[str],
        features: Mapping[str, Features],
        *,
        titles: Sequence[str | None] | None = None,
        images: Sequence[Path | None] | None = None,
        columns: pl.DataFrame | None = None,
    ) -> Catalog:
        """Return the items followed by new ones.

        Args:
            ids: ids of the new items.
            features: their features, for every modality of the known items.
            titles: one readable name per new item.
            images: one image file per new item.
            columns: item columns of the new items, one row per item; those that it lacks are null.

        Raises:
            ValueError: an id repeats, or is known already, or a column is not one of the known items, or holds values
                of another type.
        """
        count = len(ids)
        return Catalog(
            ids=Vocabulary("item", [*self.ids, *ids]),
            popularity=np.concatenate([self.popularity, np.zeros(count)]),
            new=np.concatenate([self.new, np.ones(count, dtype=np.bool_)]),
            titles=_appended(self.titles, titles, (len(self), count)),
            images=_appended(self.images, images, (len(self), count)),
            columns=_stacked(self.columns, columns, count),
            features={name: concatenated(known, features[name]) for name, known in self.features.items()},
        )

    @cached_property
    def frame(self) -> pl.DataFrame:
        """What filters can use, one row per item: ``item``, ``title`` if there are any, the item columns, ``new``.

        An item column that is called ``new`` takes the place of the last.
        """
        columns = [pl.Series("item", list(self.ids), dtype=pl.String)]
        if self.titles is not None:
            columns.append(pl.Series("title", self.titles, dtype=pl.String))
        if self.columns is not None:
            columns += self.columns.get_columns()
        if "new" not in (column.name for column in columns):
            columns.append(pl.Series("new", self.new))
        return pl.DataFrame(columns)


def concatenated(known: Features, new: Features) -> Features:
    """Return the rows of known items followed by those of new ones."""
    return Features(np.concatenate([known.values, new.values]), np.concatenate([known.present, new.present]))


def _appended(
    known: Sequence[Value | None] | None, new: Sequence[Value | None] | None, counts: tuple[int, int]
) -> tuple[Value | None, ...] | None:
    """Return the values of known and new items, None for those that have none; None if nobody has any."""
    if known is None and new is None:
        return None
    n_known, n_new = counts
    return (*(known or (None,) * n_known), *(new or (None,) * n_new))


def _stacked(known: pl.DataFrame | None, new: pl.DataFrame | None, count: int) -> pl.DataFrame | None:
    """Return the item columns of known items, followed by those of new ones.

    Raises:
        ValueError: the new items have a column that the known ones lack, or of a type that does not fit.
    """
    names = [] if known is None else known.columns
    if new is not None and (unknown := [name for name in new.columns if name not in names]):
        raise ValueError(
            f"the new items have a column {unknown[0]!r}, but the columns of the known items are {shortlist(names)}; "
            "leave it out, or train with it"
        )
    if known is None:
        return None
    of_new = known.clear(count) if new is None else _cast(new, known)
    return pl.concat([known, of_new])


def _cast(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return new rows in the columns and types of the known ones."""
    columns = []
    for name, kind in known.schema.items():
        values = new[name] if name in new.columns else pl.Series(name, [None] * len(new))
        try:
            columns.append(values.cast(kind))
        except pl.exceptions.PolarsError:
            raise ValueError(
                f"column {name!r} of the new items must hold values of type {kind}, as the known items do, but holds "
                f"{values.dtype} with values that are none; correct it"
            ) from None
    return pl.DataFrame(columns)
