"""Softmax: the interaction against all of its negatives at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.losses.base import RankingLoss
from flatrec.losses.scores import mean_loss
from flatrec.losses.smoothing import LabelSmoothing
from flatrec.ops.normalize import unit_rows
from flatrec.utils.ranges import PositiveFloat


@dataclass(frozen=True, kw_only=True)
class SoftmaxLoss(RankingLoss):
    """Sampled softmax (Wu et al., ACM TOIS 42(4), 2024, https://arxiv.org/abs/2201.02327); InfoNCE is a case of it.

    With N the negatives of an interaction (u, p), and the scores

        s(u, i) = <u, i> / temperature - log_q(i), or cos(u, i) / temperature - log_q(i)

        loss = mean of -ln( exp s(u, p) / (exp s(u, p) + sum over n in N of exp s(u, n)) )

    log_q(i) is the logarithm of the probability with which the sampling draws i: without this correction, items that
    are drawn often are pushed down too far (Yi et al., RecSys 2019, https://doi.org/10.1145/3298689.3346996, who
    correct positives and negatives alike). Under uniform sampling it cancels. That a user's own items are not drawn is
    not corrected for.

    With label smoothing e (Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567, section 7) the target of the
    positive is 1 - e + e / (1 + |N|), and that of each negative e / (1 + |N|).

    It takes any number of drawn negatives, and those of the batch (``in-batch``): the positives of the other rows, but
    for rows of the same user or item, which are no negatives. With one drawn negative, temperature 1 and neither
    correction nor cosines it is BPR.

    Deviations: cosines are the default choice of Wu et al.; here it is inner products, since a model ranks by them.

    Args:
        temperature: what scores are divided by: small ones stress the hardest negatives. Some 0.1 to 0.2 with cosines.
        log_q_correction: whether log_q is subtracted.
        cosine: whether vectors are scaled to length 1 for the loss; the model still ranks by inner products.
        label_smoothing: e.

    Example:
        >>> SoftmaxLoss(temperature=0.2, cosine=True)
        SoftmaxLoss(temperature=0.2, log_q_correction=True, cosine=True, label_smoothing=0.0)
    """

    SEPARABLE: ClassVar[bool] = True

    temperature: PositiveFloat = 1.0
    log_q_correction: bool = True
    cosine: bool = False
    label_smoothing: LabelSmoothing = 0.0

    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The mean over the batch."""
        if self.cosine:
            users, positives = unit_rows(users), unit_rows(positives)
            negatives = negatives if batch.in_batch else unit_rows(negatives.flatten(0, 1)).view_as(negatives)
        log_q = batch.log_q if self.log_q_correction else None
        return mean_loss(users / self.temperature, positives, negatives, batch, loss=self._of_scores, log_q=log_q)

    def _of_scores(
        self, positives: Float[Tensor, "rows"], negatives: Float[Tensor, "rows n"], counts: Bool[Tensor, "rows n"]
    ) -> Float[Tensor, "rows"]:
        candidates = torch.cat([positives[:, None], negatives.masked_fill(~counts, -torch.inf)], dim=1)
        losses = candidates.logsumexp(dim=1) - positives
        if self.label_smoothing == 0:
            return losses
        # The mean score of all candidates takes the place of a fraction e of the positive's score.
        mean = (positives + negatives.masked_fill(~counts, 0).sum(dim=1)) / (1 + counts.sum(dim=1))
        return losses + self.label_smoothing * (positives - mean)
