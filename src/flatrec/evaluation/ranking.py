"""The best k items for many users, in blocks, with a fixed rule for ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from flatrec.ops.matmul import linear
from flatrec.ops.topk import stable_topk

BLOCK_SCORES = 2_000_000  # scores held at once: 8 MB, which stay near the core
BLOCK_USERS = 32  # at least, as every block reads the items again

Scorer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best items of some users, best first, on the CPU.

    Args:
        items: item numbers, -1 where a user has fewer items that may be recommended than the list is long.
        scores: their scores, minus infinity there.
    """

    items: Int64[Tensor, "n_users k"]
    scores: Float[Tensor, "n_users k"]


def inner_product(users: Float[Tensor, "n_users dim"], items: Float[Tensor, "n_items dim"]) -> Scorer:
    """A scorer for representations: given user numbers, the scores of all items."""

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        return linear(users[block.to(users.device)], items)

    return score


@torch.no_grad()
def rank(score: Scorer, users: Int64[Tensor, "n_ranked"], k: int, hidden: sparse.csr_array) -> Ranking:
    """Rank all items for the given users.

    Scores count as float32; equal ones rank by item number, lower first, whatever the block size, the device or k.

    Args:
        score: gives the scores of all items for a block of users; it is called once a block.
        users: user numbers.
        k: length of a list.
        hidden: what is never recommended, (n_users, n_items); stored entries count whatever their value.

    Raises:
        ValueError: k is below 1, or a score is NaN.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}")
    n_items = hidden.shape[1]
    step = max(BLOCK_USERS, BLOCK_SCORES // n_items)
    masks = hidden[users.cpu().numpy()]
    items = torch.full((len(users), k), -1, dtype=torch.int64)
    scores = torch.full((len(users), k), -torch.inf)
    for start in range(0, len(users), step):
        block = users[start : start + step]
        values, chosen = stable_topk(_masked(score(block), masks, start), min(k, n_items))
        where = (slice(start, start + len(block)), slice(values.shape[1]))
        scores[where] = values.to(scores)
        items[where] = torch.where(values.isneginf(), -1, chosen).to(items)
    return Ranking(items, scores)


def _masked(
    scores: Float[Tensor, "block n_items"], masks: sparse.csr_array, start: int
) -> Float[Tensor, "block n_items"]:
    offsets = masks.indptr[start : start + len(scores) + 1]
    rows = np.repeat(np.arange(len(scores)), np.diff(offsets))
    columns = masks.indices[offsets[0] : offsets[-1]]
    where = tuple(torch.as_tensor(one, dtype=torch.int64, device=scores.device) for one in (rows, columns))
    return scores.float().index_put(where, torch.tensor(-torch.inf, device=scores.device))
