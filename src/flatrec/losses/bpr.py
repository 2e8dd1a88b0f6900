"""Bayesian personalized ranking: the interaction above each of its negatives."""

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
from flatrec.ops.columns import column_sum


@dataclass(frozen=True, kw_only=True)
class BPRLoss(RankingLoss):
    """BPR (Rendle et al., UAI 2009, https://arxiv.org/abs/1205.2618, section 4.1).

    With N the negatives of an interaction (u, p):

        loss = mean of (1 / |N|) * sum over n in N of -ln sigma(<u, p> - <u, n>)

    stable for any margin. With label smoothing e (Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567, section
    7, for two classes) the target of the sigmoid is 1 - e / 2 instead of 1.

    It takes any number of drawn negatives, and those of the batch (``in-batch``).

    Deviations: the paper has one negative per interaction and a sum over interactions. Some releases add 1e-10 inside
    the logarithm to keep it finite, which is not needed here. It caps the loss of an interaction at 23 and stops its
    gradient there; margins above -10 give the same to six digits.

    Args:
        label_smoothing: e.

    Example:
        >>> BPRLoss()
        BPRLoss(label_smoothing=0.0)
    """

    SEPARABLE: ClassVar[bool] = True

    label_smoothing: LabelSmoothing = 0.0

    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The mean over the batch."""
        if batch.in_batch or negatives.shape[1] > 1:
            return mean_loss(users, positives, negatives, batch, loss=self._of_scores)
        return self._of_margins(column_sum((users * (positives - negatives[:, 0])).sum(dim=1))).mean()

    def _of_scores(
        self, positives: Float[Tensor, "rows"], negatives: Float[Tensor, "rows n"], counts: Bool[Tensor, "rows n"]
    ) -> Float[Tensor, "rows"]:
        return mean_where(self._of_margins(positives[:, None] - negatives), counts)

    def _of_margins(self, margins: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        losses = -F.logsigmoid(margins)
        if self.label_smoothing == 0:
            return losses
        # -(1 - t) ln sigma(m) - t ln sigma(-m) = -ln sigma(m) + t m, with t = e / 2.
        return losses + self.label_smoothing / 2 * margins
