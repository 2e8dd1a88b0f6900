"""Which users are scored: all, persons alone, or groups alone."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions

ScoredUsers: TypeAlias = Literal["all", "persons", "groups"]


def scored_interactions(dataset: Dataset, users: ScoredUsers) -> Interactions:
    """Return the interactions that an evaluation reads: those of training, and of the scored users in other splits.

    Raises:
        ValueError: groups are to be scored, and there are none.
    """
    is_scored, interactions = scored_mask(dataset, users), dataset.interactions
    if is_scored.all():
        return interactions
    return interactions.take(is_scored[interactions.users] | interactions.mask("train"))


def scored_mask(dataset: Dataset, users: ScoredUsers) -> Bool[ndarray, "n_users"]:
    """Return True for each user who is scored.

    Raises:
        ValueError: groups are to be scored, and there are none.
    """
    groups = dataset.groups
    if users == "all" or (users == "persons" and groups is None):
        everybody: ndarray = np.ones(dataset.n_users, dtype=np.bool_)
        return everybody
    if groups is None:
        raise ValueError(
            f"evaluation.users is groups, but {dataset.name!r} has no groups; add [groups] to its dataset.toml, or set "
            "it to all"
        )
    return groups.is_group if users == "groups" else ~groups.is_group
