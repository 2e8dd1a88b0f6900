"""Item features of one modality: one row per item, and which items have the modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped
from numpy import ndarray

from flatrec.data.id_overlap import no_overlap_message
from flatrec.data.interactions import read_only
from flatrec.utils.messages import clipped

MissingPolicy = Literal["mean", "zero"]


@dataclass(frozen=True, eq=False)
class Features:
    """A float32 feature matrix over the items of a data set; immutable.

    Args:
        values: one row per item; rows of items without the modality are ignored.
        present: False where an item lacks the modality.

    Raises:
        ValueError: no column, another number of rows than flags, or a value that is NaN or infinite.
    """

    values: Float32[ndarray, "n_items width"]
    present: Bool[ndarray, "n_items"]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] == 0:
            raise ValueError(f"features must be a matrix with at least one column, but have shape {self.values.shape}")
        if len(self.values) != len(self.present):
            raise ValueError(f"features have {len(self.values)} rows, but {len(self.present)} items were flagged")
        bad = ~np.isfinite(self.values).all(axis=1) & self.present
        if bad.any():
            raise ValueError(
                f"features must be finite, but {int(bad.sum())} of {len(self.values)} rows hold NaN or infinity, the "
                f"first that of item index {int(np.flatnonzero(bad)[0])}; "
                "repair them, or leave those items out to have them treated as missing"
            )
        values = np.where(self.present[:, None], self.values, 0)
        object.__setattr__(self, "values", read_only(values, np.dtype(np.float32)))
        object.__setattr__(self, "present", read_only(self.present, np.dtype(np.bool_)))

    @classmethod
    def from_array(cls, values: Shaped[ndarray, "..."], n_items: int, name: str) -> Features:
        """Return features from an array that was read from somewhere, every item present.

        Args:
            values: any float or integer matrix; it is converted to float32.
            n_items: the number of rows it must have.
            name: the name of the array in messages, e.g. ``image_feat.npy``.

        Raises:
            ValueError: not a numeric matrix, another number of rows than items, or not finite.
        """
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise ValueError(
                f"{name} must be a numeric matrix with one row per item, "
                f"but has shape {values.shape} and type {values.dtype}"
            )
        if len(values) != n_items:
            raise ValueError(
                f"{name} has {len(values)} rows, the data set has {n_items} items; "
                "give it exactly one row per item, in the order of the item indices"
            )
        return _named(name, as_float32(values), np.ones(n_items, dtype=np.bool_))

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def take(self, rows: Int[ndarray, "n_rows"]) -> Features:
        """Return the features of some items, in the order of ``rows``."""
        return Features(self.values[rows], self.present[rows])

    def impute(self, missing: MissingPolicy = "mean") -> Float32[ndarray, "n_items width"]:
        """Return the matrix with every row filled: items without the modality get the mean of the others, or zeros.

        If no item has the modality, there is no mean: its rows are zero under both policies.
        """
        if missing == "zero" or self.present.all() or not self.present.any():
            return self.values
        mean = self.values[self.present].mean(axis=0, dtype=np.float64).astype(np.float32)
        return np.where(self.present[:, None], self.values, mean)


def align(ids: list[str], rows: Float[ndarray, "n_rows width"], items: list[str], name: str) -> Features:
    """Return features keyed by id in the order of ``items``; the modality is missing for an item without a row.

    Raises:
        ValueError: an id repeats, or no id is that of an item.
    """
    row_of = {item: row for row, item in enumerate(ids)}
    if len(row_of) != len(ids):
        first = next(item for row, item in enumerate(ids) if row_of[item] != row)
        raise ValueError(
            f"{name} has {len(ids) - len(row_of)} repeated item ids, such as {clipped(first)!r}; keep one row per item"
        )
    source = np.array([row_of.get(item, -1) for item in items], dtype=np.int64)
    present = source >= 0
    if len(items) and not present.any():
        raise ValueError(no_overlap_message(name, ids, items))
    values = np.zeros((len(items), rows.shape[1]), dtype=np.float32)
    values[present] = as_float32(rows[source[present]])
    return _named(name, values, present)


def as_float32(values: Shaped[ndarray, "..."]) -> Float32[ndarray, "..."]:
    """Return float32; a float64 value that overflows becomes infinity, which the check that follows reports."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _named(name: str, values: Float32[ndarray, "n width"], present: Bool[ndarray, "n"]) -> Features:
    try:
        return Features(values, present)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
