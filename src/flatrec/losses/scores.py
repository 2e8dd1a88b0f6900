"""Scores of positives and of their negatives, drawn or from the batch, and the mean loss over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from flatrec.data.batches import Batch
from flatrec.ops.columns import column_sum
from flatrec.ops.matmul import matmul

BLOCK_ROWS = 128  # rows of a batch whose scores with all its positives are held at once: 1 MB for a batch of 2,048

# The scores of positives (rows,) and of their negatives (rows, n), and which of the latter count, to a loss per row.
ScoreLoss: TypeAlias = Callable[
    [Float[Tensor, "rows"], Float[Tensor, "rows n"], Bool[Tensor, "rows n"]], Float[Tensor, "rows"]
]


def mean_loss(
    users: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "batch n_negatives dim"],
    batch: Batch,
    *,
    loss: ScoreLoss,
    log_q: Float[Tensor, "n_items"] | None = None,
) -> Float[Tensor, ""]:
    """The mean over the batch of a loss of inner products.

    The negatives of a row are those that were drawn for it; with ``batch.in_batch``, the positives of all other rows,
    but for rows of the same user or of the same item. Those scores are made in blocks of rows, and made again for the
    gradient: O(batch) memory instead of O(batch^2). Computed in float32 at least.

    Args:
        users: u.
        positives: p.
        negatives: n; not read with ``batch.in_batch``.
        batch: the indices that the rows belong to.
        loss: the loss of each row, given its scores.
        log_q: what is subtracted from the score of each item, positive or negative.
    """
    kind = torch.promote_types(users.dtype, torch.float32)
    with torch.autocast(users.device.type, enabled=False):
        users, positives = users.to(kind), positives.to(kind)
        offsets = positives.new_zeros(()) if log_q is None else log_q.to(kind)[batch.positives]
        if batch.in_batch:
            return _mean_in_batch(users, positives, batch, loss=loss, offsets=offsets)
        scores = column_sum(torch.bmm(negatives.to(kind), users[:, :, None]).squeeze(2))
        if log_q is not None:
            scores = scores - log_q.to(kind)[batch.negatives]
        positive_scores = column_sum((users * positives).sum(dim=1)) - offsets
        return loss(positive_scores, scores, torch.ones_like(scores, dtype=torch.bool)).mean()


def _mean_in_batch(
    users: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    batch: Batch,
    *,
    loss: ScoreLoss,
    offsets: Float[Tensor, "*batch"],
) -> Float[Tensor, ""]:
    """The mean loss where each row has the other positives of the batch as its negatives."""
    positive_scores = column_sum((users * positives).sum(dim=1)) - offsets

    def of_block(rows: slice) -> Tensor:
        other_users = batch.users[rows, None] != batch.users
        other_items = batch.positives[rows, None] != batch.positives
        scores = column_sum(matmul(users[rows], positives.T)) - offsets
        return loss(positive_scores[rows], scores, other_users & other_items)

    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(users), BLOCK_ROWS)]
    losses = [checkpoint(of_block, rows, use_reentrant=False, preserve_rng_state=False) for rows in blocks]
    return torch.cat(cast(list[Tensor], losses)).mean()


def mean_where(values: Float[Tensor, "rows n"], counts: Bool[Tensor, "rows n"]) -> Float[Tensor, "rows"]:
    """The mean over the entries of each row that count; zero for a row without one."""
    return values.masked_fill(~counts, 0).sum(dim=1) / counts.sum(dim=1).clamp_min(1)
