"""Popularity sampling: items by how often they were bought."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling
from flatrec.sampling.unbought import MAX_WEIGHT
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Popularity(NegativeSampling):
    """Negatives by popularity, among the items that a user has no training interaction with.

        q(i) = count(i)^exponent / (sum over all items j of count(j)^exponent)

    count(i) is the number of training interactions of item i; an item without one counts as one with one, so that every
    item can be drawn. The probability for a user is q(i) over the sum of q over the items that the user lacks. An
    exponent of 0 is uniform sampling, 0.75 that of word2vec (Mikolov et al., NeurIPS 2013,
    https://arxiv.org/abs/1310.4546). Probabilities are exact for whole exponents whose sum is below 2^42, otherwise
    rounded to multiples of 2^-42, and at least one of these. Only the loss ``softmax`` corrects for q.

    Args:
        n_negatives: number of negatives per interaction.
        exponent: how strongly popular items are preferred.

    Example:
        >>> Popularity(exponent=0.5)
        Popularity(n_negatives=1, exponent=0.5)
    """

    n_negatives: PositiveInt = 1
    exponent: NonNegativeFloat = 0.75

    @property
    def n_drawn(self) -> int:
        """The number of negatives."""
        return self.n_negatives

    def log_q(self, interactions: Interactions) -> Float[Tensor, "n_items"]:
        """Ln q, as it is drawn by."""
        weights = self.weights(interactions)
        return torch.from_numpy(np.log(weights / weights.sum()).astype(np.float32))

    def weights(self, interactions: Interactions) -> Int64[ndarray, "n_items"]:
        """Whole numbers that are proportional to q."""
        counts = np.maximum(interactions.item_counts("train"), 1)
        powers = (counts / counts.max()) ** self.exponent  # at most 1, so that no exponent is too large
        bits = math.log2(powers.sum()) + self.exponent * math.log2(counts.max())  # of the sum of count^exponent
        exact = self.exponent.is_integer() and bits < math.log2(MAX_WEIGHT)
        scaled = counts**self.exponent if exact else powers * ((MAX_WEIGHT - len(powers)) / powers.sum())
        whole = np.maximum(scaled, 1).astype(np.int64)
        weights: ndarray = whole // np.gcd.reduce(whole)
        return weights
