"""Returns: a negative quantity cancels earlier purchases of the same user and item."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int, Int64
from numpy import ndarray

from flatrec.data.log import InteractionLog

NEGLIGIBLE = 1e-9  # what rounding leaves of a quantity that was returned as a whole


class Settled(NamedTuple):
    """The quantities that are left after all returns."""

    quantities: Float64[ndarray, "n_events"]  # 0 for returns and for what was returned as a whole
    canceled: int  # number of purchases that were returned as a whole
    unmatched: int  # number of returns without enough purchases before them


def settle_returns(log: InteractionLog, segments: Int[ndarray, "n_events"] | None = None) -> Settled:
    """Subtract each return from the purchases before it, the latest first; events that are not returnable stay.

    Purchases at the same time are before it; without timestamps, all purchases of the user and item are.

    Args:
        log: the events, with quantities.
        segments: a number for each event; a return cancels only purchases of its own segment.
    """
    assert log.quantities is not None
    quantities = log.quantities.astype(np.float64)
    returns = quantities < 0
    left = np.where(returns, 0.0, quantities)
    keys = log.cells if segments is None else log.cells * 4 + segments
    returnable = returns | (quantities > 0 if log.returnable is None else log.returnable)
    rows = np.flatnonzero(np.isin(keys, keys[returns]) & returnable)
    times = np.zeros(len(rows), dtype=np.int64) if log.timestamps is None else log.timestamps[rows]
    ties = [column[rows] for column in (log.splits, log.weights) if column is not None]
    rows = rows[np.lexsort((*ties, quantities[rows], returns[rows], times, keys[rows]))]
    unmatched = _subtract(rows, keys[rows], quantities, left)
    canceled = int(((quantities > 0) & (left <= NEGLIGIBLE)).sum())
    return Settled(np.where(left <= NEGLIGIBLE, 0.0, left), canceled, unmatched)


def _subtract(
    rows: Int64[ndarray, "n"],
    keys: Int64[ndarray, "n"],
    quantities: Float64[ndarray, "n_events"],
    left: Float64[ndarray, "n_events"],
) -> int:
    """Subtract the returns among these rows, which are in order, and return how many found too little."""
    unmatched, key = 0, -1
    purchases: list[int] = []
    for row, row_key in zip(rows.tolist(), keys.tolist(), strict=True):
        if row_key != key:
            purchases, key = [], row_key
        if quantities[row] > 0:
            purchases.append(row)
            continue
        due = -quantities[row]
        while purchases and due > NEGLIGIBLE:
            taken = min(due, left[purchases[-1]])
            left[purchases[-1]] -= taken
            due -= taken
            if left[purchases[-1]] <= NEGLIGIBLE:
                purchases.pop()
        unmatched += due > NEGLIGIBLE
    return int(unmatched)
