"""The cosine contrastive loss: positives near, negatives below a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.losses.base import RankingLoss
from flatrec.losses.scores import mean_loss, mean_where
from flatrec.ops.normalize import unit_rows
from flatrec.utils.ranges import NonNegativeFloat, Range

Margin: TypeAlias = Annotated[float, Range(ge=-1, le=1)]


@dataclass(frozen=True, kw_only=True)
class CosineContrastiveLoss(RankingLoss):
    """CCL, the loss of SimpleX (Mao et al., CIKM 2021, https://arxiv.org/abs/2109.12613).

    With N the negatives of an interaction (u, p):

        loss = mean of 1 - cos(u, p) + (negative_weight / |N|) * sum over n in N of max(0, cos(u, n) - margin)

    It takes any number of drawn negatives, and those of the batch (``in-batch``). The released settings have 800 to
    5,000 negatives, margins of 0.1 to 0.9 and weights of 2 to 300, by data set.

    Deviations: the release ranks by cosines as well; here the model ranks by its inner products, whose lengths this
        loss
    does not train.

    Args:
        margin: the cosine below which a negative is far enough.
        negative_weight: weight of the negatives of an interaction, however many there are.

    Example:
        >>> CosineContrastiveLoss(margin=0.8)
        CosineContrastiveLoss(margin=0.8, negative_weight=10.0)
    """

    SEPARABLE: ClassVar[bool] = True

    margin: Margin = 0.4
    negative_weight: NonNegativeFloat = 10.0

    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The mean over the batch."""
        if not batch.in_batch:
            negatives = unit_rows(negatives.flatten(0, 1)).view_as(negatives)
        return mean_loss(unit_rows(users), unit_rows(positives), negatives, batch, loss=self._of_scores)

    def _of_scores(
        self, positives: Float[Tensor, "rows"], negatives: Float[Tensor, "rows n"], counts: Bool[Tensor, "rows n"]
    ) -> Float[Tensor, "rows"]:
        return 1 - positives + self.negative_weight * mean_where((negatives - self.margin).relu(), counts)
