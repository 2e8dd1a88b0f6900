"""Binary cross-entropy: each interaction a yes, each negative a no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.losses.base import RankingLoss
from flatrec.losses.scores import mean_loss, mean_where
from flatrec.losses.smoothing import LabelSmoothing
from flatrec.utils.ranges import NonNegativeFloat


@dataclass(frozen=True, kw_only=True)
class BCELoss(RankingLoss):
    """Pointwise binary cross-entropy (He et al., WWW 2017, https://arxiv.org/abs/1708.05031, eq. 7).

    With N negatives n of an interaction (u, p):

        loss = mean of -ln sigma(<u, p>) + (negative_weight / N) * sum over n of -ln sigma(-<u, n>)

    With label smoothing e (Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567, section 7, for two classes) the
    targets are 1 - e / 2 and e / 2 instead of 1 and 0.

    It takes any number of drawn negatives, and those of the batch (``in-batch``).

    Deviations: the paper adds up all points, drawn ones included, so that a positive counts the less the more negatives
    are drawn; here negatives count by their mean. A ``negative_weight`` of N gives the paper's proportion.

    Args:
        negative_weight: weight of the negatives of an interaction, however many there are.
        label_smoothing: e.

    Example:
        >>> BCELoss(label_smoothing=0.1)
        BCELoss(negative_weight=1.0, label_smoothing=0.1)
    """

    SEPARABLE: ClassVar[bool] = True

    negative_weight: NonNegativeFloat = 1.0
    label_smoothing: LabelSmoothing = 0.0

    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The mean over the batch."""
        return mean_loss(users, positives, negatives, batch, loss=self._of_scores)

    def _of_scores(
        self, positives: Float[Tensor, "rows"], negatives: Float[Tensor, "rows n"], counts: Bool[Tensor, "rows n"]
    ) -> Float[Tensor, "rows"]:
        # -(1 - t) ln sigma(s) - t ln sigma(-s) = softplus(-s) + t s, with t = e / 2.
        target = self.label_smoothing / 2
        missed = F.softplus(-positives) + target * positives
        wrong = F.softplus(negatives) - target * negatives
        return missed + self.negative_weight * mean_where(wrong, counts)
