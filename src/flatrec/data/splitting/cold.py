"""Splits that leave whole items, or whole users, without training interactions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import SplitMethod
from flatrec.data.splitting.ratios import RATIOS, split_sizes


def cold_items(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Draw a fraction of the items for each split; all interactions with an item are in its split."""
    return _by_owner(log.items, log.n_items, settings)


def cold_users(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Draw a fraction of the users for each split; all interactions of a user are in its split."""
    return _by_owner(log.users, log.n_users, settings)


def _by_owner(owners: Int[ndarray, "n_events"], n_owners: int, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Split owners with events as the random split does one user's interactions: rounded down, but at least one."""
    active = np.flatnonzero(np.bincount(owners, minlength=n_owners))
    valid, test = (int(size[0]) for size in split_sizes(np.array([len(active)]), settings.ratios or RATIOS))
    drawn = np.random.default_rng(settings.seed or 0).permutation(active)
    split_of = np.zeros(n_owners, dtype=np.int8)
    split_of[drawn[:valid]] = 1
    split_of[drawn[valid : valid + test]] = 2
    splits: ndarray = split_of[owners]
    return splits


COLD_ITEMS = SplitMethod(cold_items, frozenset({"ratios", "seed"}), "pairs")
COLD_USERS = SplitMethod(cold_users, frozenset({"ratios", "seed"}), "pairs")
