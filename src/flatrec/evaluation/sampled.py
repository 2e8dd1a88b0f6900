"""Rankings of one relevant item among drawn items: the protocol of papers that do not rank all items."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.data.interactions import Interactions
from flatrec.data.released_negatives import ReleasedNegatives
from flatrec.evaluation.metrics import EvaluationData, TopK
from flatrec.evaluation.ranking import BLOCK_SCORES, BLOCK_USERS, Scorer
from flatrec.ops.topk import stable_topk

N_NEGATIVES = 100  # as in He et al., WWW 2017, https://arxiv.org/abs/1708.05031, and the papers that follow it
SEED = 0  # the same items for every model


@torch.no_grad()
def sampled_lists(
    score: Scorer,
    data: EvaluationData,
    k: int,
    n_negatives: int = N_NEGATIVES,
    *,
    released: ReleasedNegatives | None = None,
) -> TopK:
    """Return, for each interaction of the scored users in the split, the list of its item among drawn items.

    Each interaction is ranked on its own, against distinct items that are drawn uniformly from those that its user has
    in no split; all of them, where there are fewer. What is drawn depends on the data alone, not on the model or on
    blocks. Equal scores rank by item index.

    Args:
        score: returns the scores of all items for a block of users.
        data: the scored users and the split; rows of the lists are in the order of these users and of their items.
        k: length of a list, at least 1.
        n_negatives: number of items that are drawn for each interaction.
        released: items to take instead, if there are some for each of these interactions (:func:`released_rows`). The
            relevant item itself is left out of them.
    """
    users, relevant = data.users, data.relevant
    step = max(BLOCK_USERS, BLOCK_SCORES // data.interactions.n_items)
    stream = np.random.default_rng(SEED)
    unseen = _Unseen(data.interactions)
    lists = released_rows(released, data)
    blocks = []
    for start in range(0, len(users), step):
        rows = relevant[start : start + step]
        owners = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        block = users[start : start + step]
        positives = torch.from_numpy(rows.indices.astype(np.int64))
        if released is not None and lists is not None:
            drawn = released.padded(lists[relevant.indptr[start] :][: len(owners)], fill=data.interactions.n_items)
            drawn[drawn == rows.indices[:, None]] = data.interactions.n_items
        else:
            drawn = unseen.draw(block.numpy()[owners], stream.random((len(owners), n_negatives)))
        blocks.append(_lists(score(block), torch.from_numpy(owners), positives, torch.from_numpy(drawn), k=k))
    items, scores, hits = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    repeated = users.repeat_interleave(torch.from_numpy(np.diff(relevant.indptr).astype(np.int64)))
    of_interactions = EvaluationData(data.interactions, data.split, repeated, data.features)
    return TopK(items, scores, hits, torch.ones(len(items), dtype=torch.int64), of_interactions)


def released_rows(released: ReleasedNegatives | None, data: EvaluationData) -> Int64[ndarray, "n_interactions"] | None:
    """Return which released list each interaction of the scored users in the test split has.

    It is None for another split, and where one of the interactions has none, as after another split of the data.
    """
    if released is None or data.split != "test":
        return None
    relevant = data.relevant
    return released.rows_of(np.repeat(data.users.numpy(), np.diff(relevant.indptr)), relevant.indices)


def mean_per_user(
    values: Float64[Tensor, "n_interactions"], users: Int64[Tensor, "n_interactions"]
) -> Float64[Tensor, "n_scored"]:
    """Return the mean over the interactions of each user, whose interactions follow each other."""
    owners = torch.cat([users.new_zeros(1), (users[1:] != users[:-1]).long().cumsum(0)])
    counts = torch.bincount(owners)
    return torch.zeros(len(counts), dtype=torch.float64).index_add(0, owners, values) / counts


def _lists(
    scores: Tensor, owners: Tensor, positives: Tensor, drawn: Tensor, *, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return listed items, their scores, and which of them is the positive one; rows are filled up with -1."""
    n_items = scores.shape[1]
    candidates = torch.cat([positives[:, None], drawn], dim=1).sort(dim=1).values  # so that ties go by item index
    found = scores.float().cpu()[owners[:, None], candidates.clamp(max=n_items - 1)]
    values, places = stable_topk(found.masked_fill(candidates == n_items, -torch.inf), min(k, candidates.shape[1]))
    items = torch.full((len(owners), k), -1, dtype=torch.int64)
    listed = torch.full((len(owners), k), -torch.inf)
    listed[:, : values.shape[1]] = values
    items[:, : values.shape[1]] = torch.where(values.isneginf(), -1, candidates.gather(1, places))
    return items, listed, items == positives[:, None]


class _Unseen:
    """Draws distinct items that a user has in no split."""

    def __init__(self, interactions: Interactions) -> None:
        self.n_items = interactions.n_items
        cells = np.unique(interactions.flat_indices(interactions.users, interactions.items))
        owners = cells // self.n_items
        self.starts = np.searchsorted(owners, np.arange(interactions.n_users + 1))
        # A user's r-th unseen item lies behind as many seen ones as have at most r unseen items before them.
        before = cells % self.n_items - (np.arange(len(cells)) - self.starts[owners])
        self.keys = owners * (self.n_items + 1) + before

    def draw(self, users: Int64[ndarray, "n"], uniform: Float64[ndarray, "n m"]) -> Int64[ndarray, "n m"]:
        """Return m distinct unseen items for each user, given numbers in [0, 1); ``n_items`` where there are no more.

        Robert Floyd's method of drawing without replacement, for all users at once.
        """
        n_unseen = self.n_items - np.diff(self.starts)[users]
        counts = np.minimum(uniform.shape[1], n_unseen)
        ranks = np.full(uniform.shape, -1, dtype=np.int64)
        for step in range(uniform.shape[1]):
            bound = n_unseen - counts + step
            drawn = (uniform[:, step] * (bound + 1)).astype(np.int64)
            repeated = (ranks[:, :step] == drawn[:, None]).any(axis=1)
            ranks[:, step] = np.where(step < counts, np.where(repeated, bound, drawn), -1)
        keys = users[:, None] * (self.n_items + 1) + ranks
        seen = np.searchsorted(self.keys, keys, side="right") - self.starts[users][:, None]
        items: ndarray = np.where(ranks < 0, self.n_items, ranks + seen)
        return items
