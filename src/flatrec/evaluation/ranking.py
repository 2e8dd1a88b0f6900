"""The k best items for many users, in blocks, with a fixed rule for ties."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.ops.matmul import linear
from flatrec.ops.param_vector import unshared
from flatrec.ops.topk import check_numbers, stable_topk
from flatrec.utils.devices import free_memory, moved

BLOCK_SCORES = 1_000_000  # scores that a CPU holds at once: 4 MB, which stay in the cache
BLOCK_USERS = 32  # smallest block, as every block reads all items
BYTES = 64  # of a GPU's memory for each score of a block: scores, masks, keys and their sorting

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


@dataclass(frozen=True, eq=False)
class HiddenItems:
    """The items that each of some users may not get, repeated or not.

    Args:
        offsets: those of row r are ``items[offsets[r]:offsets[r + 1]]``.
        items: item indices.
    """

    offsets: Integer[ndarray, "n_rows_plus_1"]
    items: Integer[ndarray, "n_hidden"]

    @classmethod
    def of(cls, rows: Sequence[Integer[ndarray, "_"]]) -> HiddenItems:
        """Return the items of each row."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(offsets, rows[0] if len(rows) == 1 else np.concatenate([*rows, np.zeros(0, dtype=np.int64)]))

    def take(self, rows: Int64[ndarray, "n_taken"]) -> HiddenItems:
        """Return some of the rows."""
        return HiddenItems.of([self.items[self.offsets[row] : self.offsets[row + 1]] for row in rows.tolist()])


def inner_product(users: Float[Tensor, "n_users dim"], items: Float[Tensor, "n_items dim"]) -> Scorer:
    """Return a scorer for embeddings: given user indices, it returns the scores of all items."""

    def score(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        return linear(users[moved(block, users.device)], items)

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
    masks = seen[users.cpu().numpy()]
    return rank_rows(score, users, k, HiddenItems(masks.indptr, masks.indices), n_items=seen.shape[1], allowed=allowed)


@torch.no_grad()
def rank_rows(
    score: Scorer,
    users: Int64[Tensor, "n_ranked"],
    k: int,
    hidden: HiddenItems,
    *,
    n_items: int,
    allowed: Bool[Tensor, "n_items"] | None = None,
) -> Ranking:
    """Return what :func:`rank` returns; what is never recommended has one row per ranked user, in their order.

    Raises:
        ValueError: k is below 1, or a score is NaN.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}")
    listed, start, step = [], 0, block_rows(torch.device("cpu"), n_items)
    while start < len(users):
        scored = score(users[start : start + step])
        with _masked(scored, hidden, start) as masked:
            if allowed is not None:
                masked = masked.masked_fill(~moved(allowed, masked.device), -torch.inf)
            listed.append(stable_topk(masked, min(k, n_items)))
        start, step = start + len(scored), block_rows(scored.device, n_items)
    return _ranking(listed, len(users), k)


def block_rows(device: torch.device, n_items: int) -> int:
    """Return how many users are scored at once: as many as a CPU's cache holds, or half the free memory of a GPU."""
    free = free_memory(device)
    held = BLOCK_SCORES if free is None else free // (2 * BYTES)
    return max(BLOCK_USERS, held // max(n_items, 1))


def _ranking(listed: Sequence[tuple[Tensor, Tensor]], n_users: int, k: int) -> Ranking:
    """Return the lists of all blocks, which come from their device at once.

    Raises:
        ValueError: a score is NaN.
    """
    items = torch.full((n_users, k), -1, dtype=torch.int64)
    scores = torch.full((n_users, k), -torch.inf)
    if listed:
        values, columns = (torch.cat(column) if len(listed) > 1 else column[0] for column in zip(*listed, strict=True))
        if values.device.type != "cpu":
            check_numbers(values)
        scores[:, : values.shape[1]] = values.to(scores)
        items[:, : values.shape[1]] = torch.where(values.isneginf(), -1, columns).to(items)
    return Ranking(items, scores)


@contextmanager
def _masked(
    scores: Float[Tensor, "block n_items"], hidden: HiddenItems, start: int
) -> Iterator[Float[Tensor, "block n_items"]]:
    """Context manager for float32 scores in which hidden items have minus infinity; afterward they are as before.

    To write a few entries twice is faster than to copy all of them.
    """
    offsets = hidden.offsets[start : start + len(scores) + 1]
    firsts = np.repeat(np.arange(len(scores)) * scores.shape[1], np.diff(offsets))
    places = moved(torch.from_numpy(firsts + hidden.items[offsets[0] : offsets[-1]]), scores.device)
    own = unshared(scores.float()).contiguous()
    entries = own.view(-1)
    before = entries.index_select(0, places)
    entries.index_fill_(0, places, -torch.inf)
    try:
        yield own
    finally:
        entries.index_copy_(0, places, before)
