"""MDVT: the loss of a model mixed with BPR over triplets that its own representations suggest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model
from flatrec.models.extra_loss import ExtraLoss
from flatrec.models.losses import bpr_loss_of_differences
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.topk import grouped_topk

BLOCK_COSINES = 2_000_000  # held at once: 8 MB, which stay in the cache
TRENDS = 2  # epochs whose losses show a trend


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """How long a model trains by its own loss alone.

    Epochs are counted from 0. The first epoch with virtual triplets is the first e >= ``start_epoch`` for which

        loss_(e-2) - loss_(e-1) < threshold * |loss_(e-1)|

    or ``start_epoch`` itself without a threshold; all later epochs have them too.

    Args:
        start_epoch: smallest number of epochs without virtual triplets, at least 0.
        threshold: relative fall of the loss below which they begin, at least 0; None for no such condition.
    """

    start_epoch: int = 0
    threshold: float | None = None

    def is_over(self, losses: Sequence[float | None]) -> bool:
        """Return True if the epoch after these has virtual triplets, given the mean loss of each, oldest first."""
        if self.threshold is None:
            return len(losses) >= self.start_epoch
        first = max(self.start_epoch, TRENDS)
        return any(self._is_flat(losses[epoch - TRENDS : epoch]) for epoch in range(first, len(losses) + 1))

    def _is_flat(self, losses: Sequence[float | None]) -> bool:
        before, now = losses
        if before is None or now is None or self.threshold is None:
            return False
        return before - now < self.threshold * abs(now)


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedTriplets(Encoded):
    """What the model encodes, with the items of every user's virtual triplets.

    Args:
        plain: what the model encodes, as it was before a context put other tensors in place of its own.
        positives: the items nearest to each user.
        negatives: those farthest.
    """

    plain: Encoded
    positives: Int64[Tensor, "n_users k"]
    negatives: Int64[Tensor, "n_users k"]

    def of_model(self) -> Encoded:
        """What the model's own loss reads."""
        return replace(self.plain, node_embeddings=self.node_embeddings, aux=self.aux)


class VirtualTriplets(ExtraLoss):
    """Model-agnostic multimodal-driven virtual triplets, MDVT (Xu et al., KDD 2025, https://arxiv.org/abs/2505.16665).

    Around any model, and with any strategy. With L the model's whole loss of a batch, penalties included, h its
    representations in training, and cos the cosine of two of them:

        P_u, N_u = the k items of largest cos(h_u, h_i), and the k of smallest, training items not excluded
        g_u = mean of <h_u, h_p> over P_u - mean of <h_u, h_n> over N_u
        loss = (1 - weight) * L - weight * mean over all users u of log2 sigmoid(g_u)

    The gradient flows through the scores, not through the choice. Until the warm-up is over, the loss is L. All this
    follows the release: the logarithm to base 2, scores that are averaged before the sigmoid, all users at every step.
    Features play a part only in that they shape h.

    Its warm-ups are those of :class:`WarmUp`: the static one of w epochs there, which begins with epoch w + 1, is
    ``start_epoch=w + 1``, and its dynamic one is ``start_epoch=4`` with a threshold. Its hybrid one is no method of its
    own: look up where the dynamic one began (``epochs.jsonl`` shows a jump of the loss), and sweep ``start_epoch``
    around it.

    Deviations:

    - The release holds three matrices of all cosines; here they are computed in blocks, for the same choice.
    - The choice is made once per ``encode``. Both batches of a mixed strategy share it, a strategy that moves
      parameters chooses at the moved ones again, and where embeddings are perturbed it stays that of the unperturbed.
    - A row of zeros, whose cosines are NaN there, is equally far from all items; log2 of a sigmoid that vanishes is
      finite.
    - The release compares the losses of epochs summed over batches, here they are means; the two differ where steps
      were skipped. It divides by the loss, here by its absolute value, as some losses are negative.

    Cost: a product of all users and items at every ``encode`` once the warm-up is over, O(n_users * n_items * dim)
    time; 8 MB for a block of cosines, and 2 k rows of items per user for the gradient.

    Args:
        model: any model, or another extra loss around one.
        weight: of the virtual triplets, above 0 and at most 1, where the model's own loss counts for nothing.
        k: number of items on either side, at most the number of items.
        warm_up: when the triplets begin; at once if left out.

    Example:
        >>> from flatrec.models import VBPR
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = VirtualTriplets(VBPR(data, VBPR.Config(embedding_dim=8)), weight=0.1, k=2)
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, model: Model, *, weight: float, k: int = 1, warm_up: WarmUp = WarmUp()) -> None:  # noqa: B008
        super().__init__(model)
        if not 0 < weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, but is {weight}")
        n_items = self.sizes[1]
        if not 1 <= k <= n_items:
            raise ValueError(f"k must lie in [1, {n_items}], the number of items, but is {k}")
        self.weight = weight
        self.k = k
        self.warm_up = warm_up
        self.begin_epoch([])

    def begin_epoch(self, losses: Sequence[float | None]) -> None:
        """Switch the triplets on when the warm-up is over."""
        self.active = self.warm_up.is_over(losses)
        self.loss_weights = {"base": 1 - self.weight, "virtual": self.weight} if self.active else {}

    def encode(self) -> Encoded:
        """What the model encodes, and the items of each user's virtual triplets."""
        encoded = self.model.encode()
        if not self.active:
            return encoded
        positives, negatives = nearest_and_farthest(*self.user_item_embeddings(encoded), self.k)
        tensors = encoded.node_embeddings, encoded.aux
        return EncodedTriplets(*tensors, plain=encoded, positives=positives, negatives=negatives)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The model's loss, and after the warm-up that of the virtual triplets of all users.

        Raises:
            TypeError: not what this class encodes.
        """
        if not self.active:
            return {"base": self.model.loss(encoded, batch)}
        if not isinstance(encoded, EncodedTriplets):
            raise TypeError(
                "the loss takes what encode of the same object gives in the same epoch, but got "
                f"{type(encoded).__name__}; encode again"
            )
        return {"base": self.model.loss(encoded.of_model(), batch), "virtual": self._virtual(encoded)}

    def _virtual(self, encoded: EncodedTriplets) -> Float[Tensor, ""]:
        users, items = self.user_item_embeddings(encoded.of_model())
        kind = torch.promote_types(items.dtype, torch.float32)
        # One gather for both: its gradient is as large as the table.
        chosen = F.embedding(torch.cat([encoded.positives, encoded.negatives], dim=1), items.to(kind))
        positives, negatives = (part.mean(dim=1) for part in chosen.split(self.k, dim=1))
        return bpr_loss_of_differences(users.to(kind), positives - negatives) / math.log(2)


@torch.no_grad()
def nearest_and_farthest(
    users: Float[Tensor, "n_users dim"], items: Float[Tensor, "n_items dim"], k: int
) -> tuple[Int64[Tensor, "n_users k"], Int64[Tensor, "n_users k"]]:
    """Return the k items of largest and of smallest cosine of every user, which of equal ones is left open.

    Users are not brought to length 1, since that would not change the order of a user's items.
    """
    directions = l2_normalize(items)
    step = max(1, BLOCK_COSINES // len(items))
    nearest, farthest = [], []
    with torch.autocast(items.device.type, enabled=False):
        for block in users.to(directions.dtype).split(step):
            scores = linear(block, directions)
            nearest.append(grouped_topk(scores, k)[1])
            farthest.append(grouped_topk(scores.neg_(), k)[1])
    return torch.cat(nearest), torch.cat(farthest)
