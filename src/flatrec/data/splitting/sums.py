"""One interaction for each user, item and split: the sum of its events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int64
from numpy import ndarray

from flatrec.data.interactions import SPLITS
from flatrec.data.log import InteractionLog


class Sums(NamedTuple):
    """One entry for each user, item and split, ordered by user, item and split.

    Args:
        keys: the cell of user and item, times the number of splits, plus the split.
        timestamps: the latest time of its events.
        weights: the sum of their weights.
    """

    keys: Int64[ndarray, "n_sums"]
    timestamps: Int64[ndarray, "n_sums"] | None
    weights: Float32[ndarray, "n_sums"] | None

    @property
    def repeated(self) -> Bool[ndarray, "n_sums"]:
        """True for each entry whose user and item have an entry in an earlier split."""
        pairs = self.keys // len(SPLITS)
        return np.concatenate([np.zeros(min(1, len(pairs)), dtype=np.bool_), pairs[1:] == pairs[:-1]])

    def take(self, rows: Bool[ndarray, "n_sums"]) -> Sums:
        """Return some of the entries."""
        return Sums(
            self.keys[rows],
            None if self.timestamps is None else self.timestamps[rows],
            None if self.weights is None else self.weights[rows],
        )


def sum_events(log: InteractionLog, splits: Int[ndarray, "n_events"]) -> Sums:
    """Sum the weights of each user, item and split in float64, in an order that does not depend on that of the rows."""
    keys = log.cells * len(SPLITS) + splits
    weights = _decayed(log, splits)
    if increasing(keys):
        return Sums(keys, log.timestamps, None if weights is None else weights.astype(np.float32))
    if not len(log) or (log.timestamps is None and weights is None):
        keys = np.sort(keys)
        return Sums(keys[_starts(keys)], None, None)
    order = np.argsort(keys) if weights is None else _order(keys, weights, log.timestamps)
    keys = keys[order]
    starts = np.flatnonzero(_starts(keys))
    return Sums(
        keys[starts],
        None if log.timestamps is None else np.maximum.reduceat(log.timestamps[order], starts),
        None if weights is None else np.add.reduceat(weights[order], starts).astype(np.float32),
    )


def _order(
    keys: Int64[ndarray, "n"], weights: Float64[ndarray, "n"], timestamps: Int[ndarray, "n"] | None
) -> Int64[ndarray, "n"]:
    """Return the order by key, and within a key by time and weight, so that sums of weights have one order."""
    return np.lexsort((weights, keys) if timestamps is None else (weights, timestamps, keys))


def increasing(keys: Int64[ndarray, "n"]) -> bool:
    """Return True for distinct keys in their order, which need no memory for sorting."""
    return bool((keys[1:] > keys[:-1]).all())


def _starts(keys: Int64[ndarray, "n"]) -> ndarray:
    """Return True for the first of each group of equal keys, which are sorted."""
    starts: ndarray = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=np.bool_)
    return starts


def _decayed(log: InteractionLog, splits: Int[ndarray, "n_events"]) -> ndarray | None:
    """Return the weights, those of training events halved for each half-life of their age."""
    if log.half_life is None or log.timestamps is None:
        return None if log.weights is None else log.weights.astype(np.float64)
    weights = np.ones(len(log)) if log.weights is None else log.weights.astype(np.float64)
    train = splits == 0
    if train.any():
        ages = log.timestamps[train].max() - log.timestamps[train]
        weights[train] *= 0.5 ** (ages / log.half_life)
    return np.maximum(weights, np.finfo(np.float32).tiny)
