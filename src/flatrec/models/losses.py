"""Pure functions of tensors that models add up to their loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.ops.column_products import column_log_sum_exp
from flatrec.ops.columns import column_sum
from flatrec.ops.logsumexp import log_sum_exp
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import SHORTEST, l2_normalize


def gather_embeddings(
    nodes: Float[Tensor, "n_nodes dim"], batch: Batch, n_users: int
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, "batch n_negatives dim"]]:
    """The rows of users, positives and negatives, by one gather (three cost three dense backward passes)."""
    items: Int64[Tensor, "items"] = torch.cat([batch.positives, batch.negatives.flatten()]) + n_users
    rows = F.embedding(torch.cat([batch.users, items]), nodes)
    users, positives, negatives = rows.split([len(batch), len(batch), batch.negatives.numel()])
    return users, positives, negatives.view(*batch.negatives.shape, -1)


def bpr_loss_of_differences(
    users: Float[Tensor, "batch dim"], differences: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """BPR given p - n: the mean of -ln sigma(<u, p - n>)."""
    return -F.logsigmoid(column_sum((users * differences).sum(dim=1))).mean()


def half_squares(*blocks: Float[Tensor, "batch *_"]) -> Float[Tensor, ""]:
    """Half the sum of all squared entries."""
    return column_sum(torch.stack([block.square().sum() for block in blocks]).sum()) / 2


def mean_squares(
    users: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "batch n_negatives dim"],
) -> Float[Tensor, ""]:
    """Half the mean squares of the blocks, added up, users counted for each of their two items."""
    return users.square().mean() + (positives.square().mean() + negatives.square().mean()) / 2


def beside_preferences(
    rows: tuple[Tensor, Tensor, Tensor], batch: Batch, preferences: Iterable[Float[Tensor, "n_users _"]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Free rows of users, positives and negatives, with the users' preferences of every modality beside theirs."""
    users, positives, negatives = rows
    return torch.cat([users, *(F.embedding(batch.users, one) for one in preferences)], dim=1), positives, negatives


def image_square(preferences: Mapping[str, Float[Tensor, "n_users _"]]) -> Float[Tensor, ""]:
    """The mean square of the preferences for ``image``; zero where there is no such modality."""
    if "image" in preferences:
        return preferences["image"].square().mean()
    return next(iter(preferences.values())).new_zeros(())


def info_nce(
    anchors: Float[Tensor, "batch dim"], partners: Float[Tensor, "batch dim"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE within the batch: the mean over rows b of ln sum_c exp(<a_b, p_c> / T) - <a_b, p_b> / T.

    Rows of repeated ids count as negatives of each other.
    """
    anchors = anchors / temperature
    return (column_log_sum_exp(anchors, partners) - column_sum((anchors * partners).sum(dim=1))).mean()


def info_nce_among_all(
    anchors: Float[Tensor, "batch dim"],
    partners: Float[Tensor, "batch dim"],
    everyone: Float[Tensor, "n dim"],
    temperature: float,
    *,
    counts: Int64[Tensor, "batch"] | None = None,
    factors: tuple[Float[Tensor, "n rank"], Float[Tensor, "rank dim"]] | None = None,
) -> Float[Tensor, ""]:
    """InfoNCE by cosine against all rows: the sum over b of ln sum_j exp(cos(a_b, e_j) / T) - cos(a_b, p_b) / T.

    O(n) memory besides the arguments. Computed in float32 at least: in half precision a row of zeros has no length.

    Args:
        anchors: a.
        partners: p.
        everyone: e.
        temperature: T.
        counts: how often each b counts; once if left out.
        factors: two matrices whose product is ``everyone``, where there are such: of a small rank, they make the
            products with all rows cheap.
    """
    kind = torch.promote_types(everyone.dtype, torch.float32)
    with torch.autocast(everyone.device.type, enabled=False):
        anchors, partners = (l2_normalize(one.to(kind)) for one in (anchors, partners))
        anchors = anchors / temperature
        if factors is not None and factors[0].shape[1] < everyone.shape[1]:
            lengths = torch.linalg.vector_norm(everyone.to(kind), dim=1, keepdim=True).clamp_min(SHORTEST)
            left, right = linear(anchors, factors[1].to(kind)), factors[0].to(kind) / lengths
        else:
            left, right = anchors, l2_normalize(everyone.to(kind))
        losses = log_sum_exp(left, right, 1 / temperature) - (anchors * partners).sum(dim=1)
        return losses.sum() if counts is None else (counts * losses).sum()
