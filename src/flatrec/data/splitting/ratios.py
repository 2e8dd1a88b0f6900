"""From weights such as 8:1:1 to the number of interactions in each split."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from flatrec.utils.messages import clipped

Ratios = tuple[int | float, int | float, int | float]
RATIOS: Ratios = (8, 1, 1)
SMALLEST_SPLIT = 3  # a user with fewer interactions has all of them in training
ROUNDING = 1e-9  # lets 30 * 0.1 / (0.8 + 0.1 + 0.1) count as 3


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


def floored(fraction: Fraction, count: int) -> int:
    """Return a fraction of a count, rounded down."""
    return int(count * float(fraction) + ROUNDING)


def split_sizes(
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
