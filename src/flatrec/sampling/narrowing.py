"""The choice among drawn negatives by the scores of a model."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.ops.columns import column_sum


@torch.no_grad()
def hardest_negatives(users: Float[Tensor, "n_users dim"], items: Float[Tensor, "n_items dim"], batch: Batch) -> Batch:
    """The batch with one negative per interaction: of those drawn, the first that has the highest score.

    Args:
        users: user vectors whose inner products with item vectors rank.
        items: item vectors.
        batch: interactions with N negatives each.
    """
    scores = column_sum(torch.bmm(items[batch.negatives], users[batch.users][:, :, None]).squeeze(2))
    chosen = scores.argmax(dim=1, keepdim=True)
    return replace(batch, negatives=batch.negatives.gather(1, chosen), hardest=False)
