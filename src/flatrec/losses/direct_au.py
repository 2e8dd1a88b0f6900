"""DirectAU: alignment of interactions and uniformity of users and of items, without negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.losses.base import RankingLoss
from flatrec.ops.column_products import column_log_sum_exp
from flatrec.ops.columns import column_sum
from flatrec.ops.normalize import unit_rows
from flatrec.utils.ranges import NonNegativeFloat


@dataclass(frozen=True, kw_only=True)
class DirectAULoss(RankingLoss):
    """DirectAU (Wang et al., KDD 2022, https://arxiv.org/abs/2206.12811, section 4).

    With all vectors scaled to length 1, and x, y two rows of a block of the batch:

        loss = mean of ||u - p||^2 + gamma * (uniformity(users) + uniformity(positives)) / 2
        uniformity(X) = ln of the mean over all x, y in X, x before y, of exp(-2 ||x - y||^2)

    Negatives are not read, so that a sampling has no effect on this loss: ``in-batch`` and ``hardest`` are refused.
    As in the released code, a user or item that occurs twice in a batch makes a pair at distance 0. A batch of one
    interaction has no uniformity.

    Deviations: none in the loss. As in the released code, the model ranks by inner products.

    Args:
        gamma: weight of the uniformity.

    Example:
        >>> DirectAULoss(gamma=0.5)
        DirectAULoss(gamma=0.5)

    Raises:
        ValueError: when called with a batch of the samplings ``in-batch`` or ``hardest``.
    """

    SEPARABLE: ClassVar[bool] = True

    gamma: NonNegativeFloat = 1.0

    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],  # noqa: ARG002 - not read
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The loss of the batch."""
        if batch.in_batch or batch.hardest:
            raise ValueError(
                "the loss directau reads no negatives, but the sampling chooses them by the batch or by their scores; "
                "leave sampling.name at uniform"
            )
        users, positives = unit_rows(users), unit_rows(positives)
        alignment = column_sum((users - positives).square().sum(dim=1)).mean()
        if len(users) < 2:
            return alignment
        return alignment + self.gamma * (uniformity(users) + uniformity(positives)) / 2


def uniformity(rows: Float[Tensor, "n dim"]) -> Float[Tensor, ""]:
    """The logarithm of the mean over the pairs of two rows of length 1 of exp(-2 ||x - y||^2) = exp(4 <x, y> - 4).

    O(n) memory. All n^2 products are added up in tiles; those of rows with themselves are subtracted.
    """
    with torch.autocast(rows.device.type, enabled=False):
        sums = (column_log_sum_exp(4 * rows, rows, bound=4.0) - 4).exp()
        own = (4 * column_sum(rows.square().sum(dim=1)) - 4).exp()
        return ((sums - own).sum() / (len(rows) * (len(rows) - 1))).log()
