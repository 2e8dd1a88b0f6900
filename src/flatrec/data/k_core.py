"""The k-core filter."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray


def k_core_mask(
    users: Int[ndarray, "n_interactions"], items: Int[ndarray, "n_interactions"], k: int
) -> Bool[ndarray, "n_interactions"]:
    """Return True for each of these distinct interactions that is in the k-core.

    Users and items with fewer than ``k`` of the remaining interactions are dropped repeatedly. A ``k`` of 0 or 1 keeps
    everything. Each round costs O(interactions left + users + items).
    """
    mask = np.ones(len(users), dtype=np.bool_)
    if k <= 1:
        return mask
    rows = np.arange(len(users))
    while len(rows):
        enough = (np.bincount(users)[users] >= k) & (np.bincount(items)[items] >= k)
        if enough.all():
            break
        mask[rows[~enough]] = False
        users, items, rows = users[enough], items[enough], rows[enough]
    return mask
