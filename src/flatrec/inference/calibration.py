"""One scale for the scores of new and of known items.

The embedding of a new item is not trained, so nothing says that its scores are as high as those of trained items. They
are compared on known items that are treated as new: an item in the sample has a trained embedding ``v`` and the
embedding ``w`` that it would get as a new item. The sample is divided into folds. In each fold, the items of the fold
have ``scale * w`` in place of ``v``, and all other known items keep theirs. The scale is chosen so that, summed over
the folds and over a sample of users, the items hold as many slots in the lists of the k best items as they hold when
all of them are trained.

For one user and one fold, let ``o_1 >= o_2 >= ...`` be the scores of the other items and ``c_1 >= c_2 >= ...`` those of
the fold's items at scale 1, both without the items that the user has seen. The m-th of them is in the list if fewer
than k items have a higher score, that is, if ``scale * c_m > o_(k + 1 - m)``. So it enters at the ratio
``o_(k + 1 - m) / c_m``, and the number of slots at a scale is the number of ratios below it. The scale lies between
the ratio of the last place that is wanted and the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.ops.matmul import linear
from flatrec.ops.topk import grouped_topk
from flatrec.utils import seeding

N_USERS = 1000  # most users whose lists are compared
N_ITEMS = 2000  # most known items that are treated as new
N_FOLDS = 10
MAX_SCALE = 10.0  # and at least its inverse: beyond, a few embeddings of almost no length would decide
BLOCK_SCORES = 2_000_000


@dataclass(frozen=True)
class Calibration:
    """How new items are scaled, and the slots that known items hold when they are treated as new.

    Args:
        scale: what the embeddings of new items are multiplied by.
        k: length of the lists.
        n_users: number of users whose lists were compared.
        n_items: number of known items that were treated as new.
        slots: number of slots that these items hold as trained.
        slots_before: number of slots that they hold as new items at scale 1.
        slots_after: number of slots that they hold as new items at this scale.
    """

    scale: float
    k: int
    n_users: int
    n_items: int
    slots: int
    slots_before: int
    slots_after: int


@dataclass(frozen=True, eq=False)
class TreatedAsNew:
    """Known items and the embeddings that they would get as new items.

    Args:
        indices: indices of the known items.
        embeddings: one row per index.
    """

    indices: Int64[ndarray, "n_treated"]
    embeddings: Float[Tensor, "n_treated dim"]


def sample(candidates: Int64[ndarray, "n"], size: int, seed: int, purpose: str) -> Int64[ndarray, "n_drawn"]:
    """Return at most so many of the candidates, in a random order that depends on the seed and the purpose only."""
    order = torch.randperm(len(candidates), generator=seeding.generator(seed, purpose)).numpy()
    drawn: ndarray = candidates[order[:size]]
    return drawn


@torch.no_grad()
def calibrate(
    users: Float[Tensor, "n_users dim"],
    items: Float[Tensor, "n_items dim"],
    treated: TreatedAsNew,
    *,
    seen: sparse.csr_array,
    k: int = 10,
) -> Calibration:
    """Return the scale at which known items hold as many slots when they are treated as new as they do when trained.

    If no scale gives so many, as too few of the embeddings have a positive score, the scale is the one that gives the
    most slots. It is at least 0.1 and at most 10. O(n_users * n_items * N_FOLDS) time.

    Args:
        users: embeddings of the users whose lists are compared.
        items: embeddings of all known items, as trained.
        treated: the items that are treated as new, in a random order: the folds are parts of it.
        seen: what is never recommended, (n_users, n_items), by the rows of ``users``.
        k: length of the lists, at least 1.

    Example:
        >>> items = torch.tensor([[4.0], [3.0], [2.0]])  # the second one is treated as new, and gets a third
        >>> treated = TreatedAsNew(np.array([1]), items[[1]] / 3)
        >>> found = calibrate(torch.ones(1, 1), items, treated, seen=sparse.csr_array((1, 3)), k=2)
        >>> found.slots, found.slots_before, found.slots_after
        (1, 0, 1)
    """
    k = min(k, len(items))
    folds = [torch.from_numpy(fold) for fold in np.array_split(np.arange(len(treated.indices)), N_FOLDS) if len(fold)]
    is_treated = torch.zeros(len(items), dtype=torch.bool)
    is_treated[torch.from_numpy(treated.indices)] = True
    ratios, slots = [], 0
    for scores, new_scores in _blocks(users, items, treated, seen):
        listed = grouped_topk(scores, k)
        slots += int((is_treated[listed[1]] & ~listed[0].isneginf()).sum())
        ratios += [_entry_ratios(scores, new_scores, treated, fold, k=k) for fold in folds]
    sorted_ratios = torch.cat(ratios).double().sort().values
    scale = min(max(_scale_of(sorted_ratios[sorted_ratios.isfinite()], slots), 1 / MAX_SCALE), MAX_SCALE)
    before, after = (int((sorted_ratios < value).sum()) for value in (1.0, scale))
    return Calibration(scale, k, len(users), len(treated.indices), slots, before, after)


def _blocks(
    users: Float[Tensor, "n_users dim"],
    items: Float[Tensor, "n_items dim"],
    treated: TreatedAsNew,
    seen: sparse.csr_array,
) -> Iterator[tuple[Float[Tensor, "block n_items"], Float[Tensor, "block n_treated"]]]:
    """Yield the scores of all known items and of those treated as new; minus infinity for what a user has seen."""
    step = max(1, BLOCK_SCORES // len(items))
    for start in range(0, len(users), step):
        block = users[start : start + step]
        hidden = torch.from_numpy(seen[start : start + step].toarray() != 0)
        yield (
            linear(block, items).masked_fill(hidden, -torch.inf),
            linear(block, treated.embeddings).masked_fill(hidden[:, torch.from_numpy(treated.indices)], -torch.inf),
        )


def _entry_ratios(
    scores: Float[Tensor, "block n_items"],
    new_scores: Float[Tensor, "block n_treated"],
    treated: TreatedAsNew,
    fold: Int64[Tensor, "n_fold"],
    *,
    k: int,
) -> Float[Tensor, "n_ratios"]:
    """Return the scales at which the items of a fold enter the lists of a block; infinity if they never do."""
    others = scores.clone()
    others[:, torch.from_numpy(treated.indices)[fold]] = -torch.inf
    depth = min(k, len(fold))
    best_others = grouped_topk(others, k)[0].flip(1)[:, :depth].clamp(min=0)
    best_new = grouped_topk(new_scores[:, fold], depth)[0]
    return torch.where(best_new > 0, best_others / best_new, torch.inf).flatten()


def _scale_of(ratios: Float[Tensor, "n"], slots: int) -> float:
    """Return the scale at which so many of the increasing ratios lie below it, or the one that most lie below."""
    positive: list[float] = ratios[ratios > 0].tolist()  # at the others, every positive scale gives the place
    if not positive:
        return 1.0
    wanted = max(0, slots - (len(ratios) - len(positive)))
    if wanted >= len(positive):
        return positive[-1] * (1 + 1e-6)
    lower = positive[wanted - 1] if wanted else 0.0
    return (lower + positive[wanted]) / 2
