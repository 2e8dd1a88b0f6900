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
    while len(users):
        enough = (np.bincount(users) >= k)[users] & (np.bincount(items) >= k)[items]
        if enough.all():
            break
        mask[mask] = enough
        users, items = users[enough], items[enough]
    return mask
