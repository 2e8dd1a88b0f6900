"""The k-core filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from flatrec.data.cleaning import CleaningReport
from flatrec.data.log import IndexedInteractions, InteractionLog
from flatrec.data.splitting.returns import settle_returns


def filter_k_core(
    name: str, interactions: IndexedInteractions, k_core: int
) -> tuple[IndexedInteractions, CleaningReport]:
    """Return the events of the users and items of the k-core, indexed without gaps.

    The core is that of the interactions which are left after all returns. A ``k_core`` of 0 or 1 keeps everything.

    Raises:
        ValueError: no interaction is in the core.
    """
    log, user_ids, item_ids = interactions
    if k_core <= 1:
        return interactions, CleaningReport()
    cells = np.unique(log.cells if log.quantities is None else log.cells[settle_returns(log).quantities > 0])
    mask = k_core_mask(cells // log.n_items, cells % log.n_items, k_core)
    if not mask.any():
        raise ValueError(
            f"{name} has no {k_core}-core: of its {len(mask)} interactions none has a user and an item with "
            f"{k_core} interactions each; lower k_core"
        )
    rows = _of_core(log, cells[mask])
    if rows.all():
        return interactions, CleaningReport()
    core = log.take(rows)
    users, core_user_ids = _reindexed(core.users, user_ids)
    items, core_item_ids = _reindexed(core.items, item_ids)
    core = replace(core, users=users, items=items, n_users=len(core_user_ids), n_items=len(core_item_ids))
    report = CleaningReport(
        k_core=k_core,
        filtered_users=len(user_ids) - len(core_user_ids),
        filtered_items=len(item_ids) - len(core_item_ids),
        filtered_interactions=int((~mask).sum()),
        filtered_events=int((~rows & ~log.returns).sum()),
    )
    return IndexedInteractions(core, core_user_ids, core_item_ids), report


def _of_core(log: InteractionLog, cells: Int[ndarray, "n_cells"]) -> Bool[ndarray, "n_events"]:
    """Return True for each event whose user and item are in the core, also if it was canceled."""
    users, items = np.zeros(log.n_users, dtype=np.bool_), np.zeros(log.n_items, dtype=np.bool_)
    users[cells // log.n_items] = True
    items[cells % log.n_items] = True
    in_core: ndarray = users[log.users] & items[log.items]
    return in_core


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


def _reindexed(indices: Int[ndarray, "n"], ids: Sequence[str]) -> tuple[Int[ndarray, "n"], list[str]]:
    used = np.bincount(indices, minlength=len(ids)) > 0
    return (np.cumsum(used) - 1)[indices], [ids[index] for index in np.flatnonzero(used).tolist()]
