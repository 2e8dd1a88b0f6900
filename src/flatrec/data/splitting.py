"""Which interactions a data set keeps, and to which split each belongs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Int, Int8
from numpy import ndarray

from flatrec.utils.messages import clipped

Ratios = tuple[int | float, int | float, int | float]
SMALLEST_SPLIT = 3  # a user with fewer interactions has all of them in training
ROUNDING = 1e-9  # lets 30 * 0.1 / (0.8 + 0.1 + 0.1) count as 3


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


def split(
    users: Int[ndarray, "n_interactions"], n_users: int, seed: int, ratios: Ratios = (8, 1, 1)
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
    valid, test = _split_sizes(counts, ratios)
    order = np.lexsort((np.random.default_rng(seed).random(len(users)), users))
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(users)) - np.repeat(starts, counts)
    owners = users[order]
    splits = np.zeros(len(users), dtype=np.int8)
    splits[order] = np.where(rank < valid[owners], 1, np.where(rank < (valid + test)[owners], 2, 0))
    return splits


def fractions_of(ratios: Ratios) -> tuple[Fraction, Fraction, Fraction]:
    """Return the exact fractions of training, validation and test, whose sum is 1, however large the weights are.

    Raises:
        ValueError: the weight of training is not positive, or another is negative, not finite or not a number.
    """
    try:
        train, valid, test = (Fraction(weight) for weight in ratios if not isinstance(weight, (bool, str)))
    except (TypeError, ValueError, OverflowError):
        train = valid = test = Fraction(-1)
    if train <= 0 or valid < 0 or test < 0:
        raise ValueError(
            f"ratios must be three finite weights of train, valid and test, the first above 0, "
            f"but are {clipped(repr(ratios), 100)}; use e.g. (8, 1, 1)"
        )
    total = train + valid + test
    return train / total, valid / total, test / total


def _split_sizes(
    counts: Int[ndarray, "n_users"], ratios: Ratios
) -> tuple[Int[ndarray, "n_users"], Int[ndarray, "n_users"]]:
    """Return the number of validation and of test interactions per user, so that at least one is left for training."""
    splittable = counts >= SMALLEST_SPLIT
    fractions = fractions_of(ratios)[1:]
    valid, test = (
        np.where(splittable, np.maximum(np.floor(counts * float(fraction) + ROUNDING), float(fraction > 0)), 0).astype(
            np.int64
        )
        for fraction in fractions
    )
    valid = np.minimum(valid, np.maximum(counts - 1 - int(fractions[1] > 0), 0))
    return valid, np.minimum(test, np.maximum(counts - 1 - valid, 0))
