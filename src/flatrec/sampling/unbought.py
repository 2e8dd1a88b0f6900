"""Items that users have no training interaction with, drawn exactly by weight and without rejection."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import Generator, Tensor

from flatrec.data.interactions import Interactions

MAX_WEIGHT = 2**42  # of all items together; with a million users the keys of the search still fit into 63 bits


class UnboughtItems:
    """Draws items that a user has no training interaction with, each by its weight.

    The weights of such items are laid end to end; a number below their sum is drawn and turned into an item by two
    binary searches, so the cost does not grow with how much a user bought. Weights are whole numbers, so that nothing
    is rounded and no item of the user is ever drawn. With weights of 1 the draw is uniform.

    Args:
        interactions: the interactions whose training split counts.
        weights: the weight of each item, at least 1 and at most 2^42 together; 1 each if left out.
        device: where items are drawn; the CPU if left out.
    """

    def __init__(
        self,
        interactions: Interactions,
        weights: Int64[ndarray, "n_items"] | None = None,
        device: torch.device | None = None,
    ) -> None:
        bought = interactions.matrix("train")
        weights = np.ones(interactions.n_items, dtype=np.int64) if weights is None else weights
        ends = np.cumsum(weights)
        self._total = int(ends[-1])
        sums = np.concatenate([[0], np.cumsum(weights[bought.indices])])  # of bought items, over all users
        owners = np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr))
        # Unbought weight before each bought item: nondecreasing within a user, and by the key over all users.
        before = (ends - weights)[bought.indices] - (sums[:-1] - sums[bought.indptr[:-1]][owners])
        starts = bought.indptr.astype(np.int64)
        arrays = (ends, sums, starts, owners * (self._total + 1) + before)
        self._ends, self._sums, self._starts, self._keys = (torch.from_numpy(array).to(device) for array in arrays)

    def draw(self, users: Int64[Tensor, "n"], generator: Generator, n_negatives: int) -> Int64[Tensor, "n n_negatives"]:
        """Draw items for each user with replacement; every user must lack an item.

        Users and generator are on the device where items are drawn, which is not waited for.
        """
        repeated = users[:, None].expand(-1, n_negatives).flatten()
        first, last = self._starts[repeated], self._starts[repeated + 1]
        unbought = self._total - (self._sums[last] - self._sums[first])
        uniform = torch.rand(len(repeated), generator=generator, dtype=torch.float64, device=users.device)
        drawn = (uniform * unbought).long().clamp_(max=unbought - 1)
        place = torch.searchsorted(self._keys, repeated * (self._total + 1) + drawn, right=True)
        items = torch.searchsorted(self._ends, drawn + self._sums[place] - self._sums[first], right=True)
        return items.view(len(users), n_negatives)
