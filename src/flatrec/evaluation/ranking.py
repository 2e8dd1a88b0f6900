"""The k best items for many users, in blocks, with a fixed rule for ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy import sparse
from torch import Tensor

from flatrec.ops.matmul import linear
from flatrec.ops.topk import stable_topk

BLOCK_SCORES = 2_000_000  # scores held at once: 8 MB, which stay in the cache
BLOCK_USERS = 32  # smallest block, as every block reads all items

Scorer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best items of each ranked user, best first, on the CPU.

    Args:
        items: item indices; -1 where a user has fewer than k items that may be recommended.
        scores: their scores; minus infinity where the index is -1.
    """

    items: Int64[Tensor, "n_users k"]
    scores: Float[Tensor, "n_users k"]


def inner_product(users: Float[Tensor, "n_users dim"], items: Float[Tensor, "n_items dim"]) -> Scorer:
    """Return a scorer for embeddings: given user indices, it returns the scores of all items."""

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        return linear(users[block.to(users.device)], items)

    return score


@torch.no_grad()
def rank(
    score: Scorer,
    users: Int64[Tensor, "n_ranked"],
    k: int,
    seen: sparse.csr_array,
    *,
    allowed: Bool[Tensor, "n_items"] | None = None,
) -> Ranking:
    """Return the k best items of these users.

    Scores are compared in float32. Equal scores rank by item index, lower first, whatever the block size, the device
    or k.

    Args:
        score: returns the scores of all items for a block of users; it is called once per block.
        users: user indices.
        k: length of a list.
        seen: what is never recommended, (n_users, n_items); stored entries count whatever their value.
        allowed: which items may be recommended at all; None for all of them.

    Raises:
        ValueError: k is below 1, or a score is NaN.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}")
    n_items = seen.shape[1]
    step = max(BLOCK_USERS, BLOCK_SCORES // n_items)
    masks = seen[users.cpu().numpy()]
    items = torch.full((len(users), k), -1, dtype=torch.int64)
    scores = torch.full((len(users), k), -torch.inf)
    for start in range(0, len(users), step):
        block = users[start : start + step]
        masked = _masked(score(block), masks, start)
        if allowed is not None:
            masked = masked.masked_fill(~allowed.to(masked.device), -torch.inf)
        values, columns = stable_topk(masked, min(k, n_items))
        target = (slice(start, start + len(block)), slice(values.shape[1]))
        scores[target] = values.to(scores)
        items[target] = torch.where(values.isneginf(), -1, columns).to(items)
    return Ranking(items, scores)


def _masked(
    scores: Float[Tensor, "block n_items"], masks: sparse.csr_array, start: int
) -> Float[Tensor, "block n_items"]:
    offsets = masks.indptr[start : start + len(scores) + 1]
    rows = np.repeat(np.arange(len(scores)), np.diff(offsets))
    columns = masks.indices[offsets[0] : offsets[-1]]
    entries = tuple(torch.as_tensor(index, dtype=torch.int64, device=scores.device) for index in (rows, columns))
    return scores.float().index_put(entries, torch.tensor(-torch.inf, device=scores.device))
