"""In-batch sampling: the other positives of a batch are the negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling


@dataclass(frozen=True, kw_only=True)
class InBatch(NegativeSampling):
    """Negatives are the positives of all other rows of the batch, but for rows of the same user or item.

    An item is a negative as often as it is bought: q(i) is its fraction of the training interactions (Yi et al., RecSys
    2019, https://doi.org/10.1145/3298689.3346996, who estimate q from the stream). Only the loss ``softmax`` corrects
    for it. One item is drawn uniformly as well, for the terms of a loss that are no ranking, such as penalties. Items
    of a user that are not in the batch beside the user may be among the negatives of that user.

    Example:
        >>> InBatch().n_drawn, InBatch().in_batch
        (1, True)
    """

    in_batch: ClassVar[bool] = True

    @property
    def n_drawn(self) -> int:
        """One, which the ranking loss does not read."""
        return 1

    def weights(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """All items are equal."""

    def log_q(self, interactions: Interactions) -> Float[Tensor, "n_items"]:
        """The logarithm of each item's fraction of the training interactions.

        An item without one, which is in no batch, counts as one with one, so that all logarithms are finite.
        """
        counts = interactions.item_counts("train")
        return torch.from_numpy(np.log(np.maximum(counts, 1) / counts.sum()).astype(np.float32))
