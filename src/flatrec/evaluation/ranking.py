"""The best k items for many users, in blocks, with a fixed rule for ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy import sparse
from torch import Tensor

from flatrec.ops.matmul import linear

BLOCK_SCORES = 2_000_000  # scores held at once: 8 MB, which stay near the core
BLOCK_USERS = 32  # at least, as every block reads the items again
GROUP = 8  # items whose largest score stands for them at first

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
        values, chosen = _best(_masked(score(block), masks, start), min(k, n_items))
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


def _best(scores: Float[Tensor, "block n_items"], k: int) -> tuple[Float[Tensor, "block k"], Int64[Tensor, "block k"]]:
    """The k largest a row, ties by item number: one more decides where there is a tie, whole keys decide those."""
    values, items = _largest(scores, min(k + 1, scores.shape[1]), ordered=True)
    if values.isnan().any():
        raise ValueError("scores must be numbers, but some are NaN; the model's parameters are broken, train it again")
    unclear = _tied(values)
    values, items = values[:, :k], items[:, :k]
    if unclear.any():
        items[unclear] = _keys(scores[unclear]).topk(k, dim=1).indices
        values[unclear] = scores[unclear].gather(1, items[unclear])
    return values, items


def _largest(
    scores: Float[Tensor, "block n_items"], k: int, *, ordered: bool
) -> tuple[Float[Tensor, "block k"], Int64[Tensor, "block k"]]:
    """The k largest a row, from the largest down if ``ordered``; which of equal ones at the end is open.

    Among many items only those of k groups are looked at: an item outside of the groups with the k largest maxima has
    k others at or above it.
    """
    n_groups = scores.shape[1] // GROUP
    if n_groups <= 2 * k:
        return torch.topk(scores, k, dim=1, sorted=ordered)
    grouped = scores[:, : GROUP * n_groups].unflatten(1, (GROUP, n_groups))  # a group's items lie n_groups apart
    _, groups = _largest(grouped.amax(dim=1), k, ordered=False)
    candidates = grouped.gather(2, groups[:, None].expand(-1, GROUP, -1)).flatten(1)
    rest = scores[:, GROUP * n_groups :]
    values, places = torch.cat([candidates, rest], dim=1).topk(k, dim=1, sorted=ordered)
    items = places // k * n_groups + groups.gather(1, places % k)
    return values, torch.where(places < GROUP * k, items, places - GROUP * k + GROUP * n_groups)


def _tied(values: Float[Tensor, "block k"]) -> Bool[Tensor, "block"]:
    """Rows with two equal neighbors that are not both masked."""
    same = (values[:, 1:] == values[:, :-1]) & ~values[:, 1:].isneginf()
    return same.any(dim=1)


def _keys(scores: Float[Tensor, "rows n_items"]) -> Int64[Tensor, "rows n_items"]:
    """Whole numbers in the order of (score, lower item number): the score's bits, made monotone, above the number."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 turns -0.0, which equals 0.0, into it
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    return (ordered << 32) - torch.arange(scores.shape[1], device=scores.device)
