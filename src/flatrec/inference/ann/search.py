"""Lists by an index: candidates are found by it, scored again exactly, and lists are never shorter for it.

A list asks the index for as many items as it has places and its user has hidden items, so that enough are left. Where
not all items are allowed, the search passes over the others and is widened by their fraction. Users whose search would
take as long as scoring all items, as many items are hidden or few allowed, and users for whom too few candidates are
found, are answered exactly. The answer for a user does not depend on the other users of a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.evaluation import Ranking, inner_product, rank
from flatrec.inference.ann.settings import IndexFacts
from flatrec.ops.matmul import linear_of_some
from flatrec.ops.topk import stable_topk

BLOCK_USERS = 256


@runtime_checkable
class Searchable(Protocol):
    """An index of items; see :class:`flatrec.inference.ann.ItemIndex`."""

    @property
    def facts(self) -> IndexFacts:
        """What it is of."""

    def search(
        self,
        users: Float32[ndarray, "n dim"],
        count: int,
        width: int,
        allowed: Bool[ndarray, "n_indexed"] | None = None,
    ) -> Int64[ndarray, "n count"]:
        """Return the items with the highest inner products that are found, best first; -1 where fewer are."""


@dataclass(frozen=True, eq=False)
class Request:
    """Whose lists are made, of which items.

    Args:
        users: one vector per user.
        items: one vector per item.
        k: length of a list.
        hidden: what each user may not get, (n_users, n_items).
        allowed: which items anybody may get; None for all of them.
    """

    users: Float[Tensor, "n_users dim"]
    items: Float[Tensor, "n_items dim"]
    k: int
    hidden: sparse.csr_array
    allowed: Bool[Tensor, "n_items"] | None = None


@torch.no_grad()
def rank_by_index(index: Searchable, request: Request) -> Ranking:
    """Return the k best items of each user among those that an index finds; equal scores rank by item index.

    Items that joined after the index was built are all candidates.

    Raises:
        ValueError: k is below 1, or a score is NaN.
    """
    n_users, k = len(request.users), request.k
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}")
    ranking = Ranking(torch.full((n_users, k), -1, dtype=torch.int64), torch.full((n_users, k), -torch.inf))
    exact = np.ones(n_users, dtype=np.bool_)
    for rows, count, width in searches(index.facts, request):
        exact[rows] = ~_fill(ranking, index, request, (rows, count, width))
    if exact.any():
        rest = torch.from_numpy(np.flatnonzero(exact))
        score = inner_product(request.users, request.items)
        of_rest = rank(score, rest, k, request.hidden, allowed=request.allowed)
        ranking.items[rest], ranking.scores[rest] = of_rest.items, of_rest.scores
    return ranking


def searches(facts: IndexFacts, request: Request) -> Iterator[tuple[Int64[ndarray, "n"], int, int]]:
    """Yield blocks of users with the number of items to ask for and the search width; the others need exact lists."""
    fraction = 1.0 if request.allowed is None else float(request.allowed.float().mean())
    counts = request.k + np.diff(request.hidden.indptr)
    # Powers of two: few different searches, of which each user's depends on nobody else.
    asked = 2 ** np.ceil(np.log2(counts)).astype(np.int64)
    for count in np.unique(asked).tolist():
        width = search_width(facts, request.k, count, fraction)
        if width > widest(facts) or count > facts.n_items:
            continue
        rows = np.flatnonzero(asked == count)
        for start in range(0, len(rows), BLOCK_USERS):
            yield rows[start : start + BLOCK_USERS], count, width


def widest(facts: IndexFacts) -> int:
    """Return the width of a search that takes as long as scoring all items, or the least width if that is larger."""
    return max(facts.n_items // facts.items_per_step, facts.k)


def search_width(facts: IndexFacts, k: int, count: int, fraction: float = 1.0) -> int:
    """Return the width of a search that finds as much as was measured when the index was built.

    The measured width grows with the length of the list where it is longer than the measured ones, is at least the
    number of items that are asked for, and is divided by the fraction of the items that are allowed, as the others
    take up the rest of the width.
    """
    width = max(facts.search_width * max(1.0, k / facts.k), count)
    return int(np.ceil(width / max(fraction, 1e-9)))


def _fill(
    ranking: Ranking, index: Searchable, request: Request, search: tuple[Int64[ndarray, "n"], int, int]
) -> Bool[ndarray, "n"]:
    """Write the lists of a block of users; return for which of them enough candidates were found."""
    rows, count, width = search
    n_indexed, n_items = index.facts.n_items, len(request.items)
    allowed = None if request.allowed is None else request.allowed.numpy()
    vectors = np.ascontiguousarray(request.users[torch.from_numpy(rows)].numpy(), dtype=np.float32)
    found = index.search(vectors, count, width, None if allowed is None else allowed[:n_indexed])
    joined = np.arange(n_indexed, n_items) if allowed is None else n_indexed + np.flatnonzero(allowed[n_indexed:])
    enough = np.zeros(len(rows), dtype=np.bool_)
    for position, row in enumerate(rows.tolist()):
        hidden = request.hidden.indices[request.hidden.indptr[row] : request.hidden.indptr[row + 1]]
        listed = found[position]
        candidates = np.concatenate([np.sort(listed[listed >= 0]), joined])
        candidates = candidates[~np.isin(candidates, hidden)]
        if len(candidates) >= request.k:
            columns = torch.from_numpy(candidates)
            scores = linear_of_some(request.users[[row]], request.items[columns], n_items).float()
            values, places = stable_topk(scores, request.k)
            ranking.items[row], ranking.scores[row] = columns[places[0]], values[0]
            enough[position] = True
    return enough
