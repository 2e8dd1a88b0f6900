"""A random split of each user's interactions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import SplitMethod
from flatrec.data.splitting.ratios import RATIOS, Ratios, split_sizes


def split_at_random(
    users: Int[ndarray, "n_interactions"], n_users: int, seed: int, ratios: Ratios = RATIOS
) -> Int8[ndarray, "n_interactions"]:
    """Split the interactions of every user at random into training (0), validation (1) and test (2).

    A user with ``n`` interactions gives validation and test ``floor(n * fraction)`` each, but at least one if
    ``n`` is 3 or more (a fraction of 0 stays 0), and keeps the rest for training. With 8:1:1, five interactions
    become 3/1/1 and twenty become 16/2/2: the rule that the public 5-core splits of MMRec follow.
    All interactions of a user with fewer than three are in training, so every user is trained.

    The result depends on the order of the interactions: sort them first for a split that does not.

    Args:
        users: the user index of each interaction.
        n_users: number of users.
        seed: seed of the numpy generator that draws the split.
        ratios: weights of training, validation and test; they need not add up to one.

    Raises:
        ValueError: the weight of training is not positive, or another weight is negative or not finite.
    """
    counts = np.bincount(users, minlength=n_users)
    valid, test = split_sizes(counts, ratios)
    order = np.lexsort((np.random.default_rng(seed).random(len(users)), users))
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(users)) - np.repeat(starts, counts)
    owners = users[order]
    splits = np.zeros(len(users), dtype=np.int8)
    splits[order] = np.where(rank < valid[owners], 1, np.where(rank < (valid + test)[owners], 2, 0))
    return splits


def assign(log: InteractionLog, settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Split the interactions of every user; see :func:`split_at_random`."""
    return split_at_random(log.users, log.n_users, settings.seed or 0, settings.ratios or RATIOS)


METHOD = SplitMethod(assign, frozenset({"ratios", "seed"}), "pairs", may_lack=True)
