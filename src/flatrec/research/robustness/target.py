"""How often the item that an attack pushes is recommended, before the attack and under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from flatrec.config import Evaluation
from flatrec.data.interactions import Interactions, Split
from flatrec.evaluation import seen_mask
from flatrec.evaluation.ranking import rank
from flatrec.models.scoring import Scoring


@dataclass(frozen=True)
class TargetHits:
    """Hit rates of an item by list length, such as ``hit_rate@10``; see :func:`target_hit_rates`.

    Args:
        item: id of the item.
        before: hit rates of the recommender without the attack.
        after: hit rates of the recommender that was trained under it.
    """

    item: str
    before: Mapping[str, float]
    after: Mapping[str, float]


def target_hit_rates(
    scoring: Scoring, interactions: Interactions, evaluation: Evaluation, split: Split, *, target: int, n_users: int
) -> dict[str, float]:
    """Return the hit rate of one item: the fraction of the users to whom it is recommended.

        hit_rate@k = |{u in U : target among the k best items of u}| / |U|

    U are the first ``n_users`` users, but for those to whom ``evaluation.mask`` never recommends the item. All of U
    count, whether they have an interaction in the split or not.

    Args:
        scoring: scores of the recommender.
        interactions: those that are masked.
        evaluation: list lengths, and what is never recommended.
        split: split whose mask counts.
        target: index of the item.
        n_users: number of users who are not fake; fake ones have higher indices.
    """
    seen = seen_mask(interactions, split, evaluation.mask)
    has_target = np.zeros(n_users, dtype=np.bool_)
    has_target[seen[:n_users, [target]].nonzero()[0]] = True
    users = torch.from_numpy(np.flatnonzero(~has_target))
    if not len(users):
        return {}
    hits = rank(scoring.scores, users, max(evaluation.ks), seen).items == target
    return {f"hit_rate@{k}": float(hits[:, :k].any(dim=1).double().mean()) for k in evaluation.ks}
