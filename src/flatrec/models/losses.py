"""Pure functions of tensors that models add up to their loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.batches import Batch


def rows(
    nodes: Float[Tensor, "n_nodes dim"], batch: Batch, n_users: int
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
    """The rows of users, positives and negatives, by one gather (three cost three dense backward passes)."""
    numbers: Int64[Tensor, "3_batch"] = torch.cat([batch.users, batch.positives + n_users, batch.negatives + n_users])
    users, positives, negatives = F.embedding(numbers, nodes).chunk(3)
    return users, positives, negatives


def bpr(
    users: Float[Tensor, "batch dim"], positives: Float[Tensor, "batch dim"], negatives: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Bayesian personalised ranking: the mean of -ln sigma(<u, p> - <u, n>), stable for any margin.

    Some releases add 1e-10 inside the logarithm to keep it finite; that is not needed here and changes the value
    by less than float32 shows.
    """
    return -F.logsigmoid((users * (positives - negatives)).sum(dim=1)).mean()


def norm_penalty(*blocks: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """The Frobenius norms of the blocks, added up and divided by the batch size; not squared.

    The form that LightGCN has in the libraries the field compares with. A block of zeros gives gradient 0.
    """
    return torch.stack([torch.linalg.vector_norm(block) for block in blocks]).sum() / len(blocks[0])
