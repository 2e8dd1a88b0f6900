"""Which users are scored: all, persons alone, or groups alone."""

from __future__ import annotations

from typing import Literal, TypeAlias

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions

ScoredUsers: TypeAlias = Literal["all", "persons", "groups"]


def scored_interactions(dataset: Dataset, users: ScoredUsers) -> Interactions:
    """Return the interactions that an evaluation reads: those of training, and of the scored users in other splits.

    Raises:
        ValueError: groups are to be scored, and there are none.
    """
    interactions, groups = dataset.interactions, dataset.groups
    if users == "all" or (users == "persons" and groups is None):
        return interactions
    if groups is None:
        raise ValueError(
            f"evaluation.users is groups, but {dataset.name!r} has no groups; add [groups] to its dataset.toml, or set "
            "it to all"
        )
    is_scored = groups.is_group if users == "groups" else ~groups.is_group
    return interactions.take(is_scored[interactions.users] | interactions.mask("train"))
