"""Groups of persons that act as users of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64
from numpy import ndarray
from scipy import sparse

from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.interactions import read_only
from flatrec.utils.messages import shortlist


@dataclass(frozen=True, eq=False)
class Memberships:
    """Which persons are the members of which groups, by id: one entry per membership.

    Raises:
        ValueError: there is no membership, or not one person per entry.
    """

    groups: Sequence[str]
    persons: Sequence[str]
    source: str = "the table of members"  # the name of the table in messages
    cleaning_report: TableCleaningReport | None = None  # what reading the table changed

    def __post_init__(self) -> None:
        if not self.groups or len(self.groups) != len(self.persons):
            raise ValueError(
                f"{self.source} has {len(self.groups)} groups for {len(self.persons)} persons; give it one row per "
                "membership, and at least one"
            )


@dataclass(frozen=True, eq=False)
class Groups:
    """Which users of a data set are groups, and the persons that are their members; immutable.

    A group is a user like any other: it has an id, interactions and recommendations. All other users are persons. Every
    group has at least one member, and every member is a person.

    Args:
        groups: the user index of the group of each membership.
        persons: the user index of the person of each membership; kept as read-only int32, as the groups are.
        n_users: number of users, groups and persons together.

    Example:
        >>> groups = Groups(np.array([2, 2, 3]), np.array([0, 1, 1]), n_users=5)
        >>> groups.indices.tolist(), groups.person_indices.tolist()
        ([2, 3], [0, 1, 4])

    Raises:
        ValueError: there is no membership, the arrays differ in length, an index is out of range, a membership occurs
            twice, or a member is itself a group.
    """

    groups: Int[ndarray, "..."]
    persons: Int[ndarray, "..."]
    n_users: int

    def __post_init__(self) -> None:
        if not len(self.groups) or len(self.groups) != len(self.persons):
            raise ValueError(
                f"groups and persons must have one entry per membership, but have {len(self.groups)} and "
                f"{len(self.persons)}"
            )
        for name in ("groups", "persons"):
            indices: ndarray = getattr(self, name)
            if indices.min() < 0 or indices.max() >= self.n_users:
                raise ValueError(
                    f"{name} must be user indices in [0, {self.n_users}), but range from {indices.min()} to "
                    f"{indices.max()}"
                )
            object.__setattr__(self, name, read_only(indices, np.dtype(np.int32)))
        if self.is_group[self.persons].any():
            nested = self.persons[self.is_group[self.persons]][0]
            raise ValueError(f"members must be persons, but user {nested} is a group and a member; give its members")
        if len(np.unique(self.groups.astype(np.int64) * self.n_users + self.persons)) < len(self.groups):
            raise ValueError("a person is a member of a group twice; give every membership once")

    @cached_property
    def indices(self) -> Int64[ndarray, "n_groups"]:
        """The user indices of all groups, in increasing order."""
        return np.unique(self.groups).astype(np.int64)

    @cached_property
    def person_indices(self) -> Int64[ndarray, "n_persons"]:
        """The user indices of all persons, in increasing order."""
        return np.flatnonzero(~self.is_group)

    @cached_property
    def is_group(self) -> Bool[ndarray, "n_users"]:
        """True for each user that is a group."""
        mask = np.zeros(self.n_users, dtype=np.bool_)
        mask[self.groups] = True
        return mask

    def matrix(self) -> sparse.csr_array:
        """Return the memberships as a binary float32 matrix of all users by all users: a row per group.

        Rows of persons are empty. The members of a row are in increasing order.
        """
        ones: Float32[ndarray, "n_memberships"] = np.ones(len(self.groups), dtype=np.float32)
        matrix = sparse.csr_array((ones, (self.groups, self.persons)), shape=(self.n_users, self.n_users))
        matrix.sort_indices()
        return matrix


def index_groups(memberships: Memberships, users: Sequence[str]) -> Groups:
    """Return memberships by index; a membership that is listed twice counts once.

    Args:
        memberships: the memberships by id, all of which are users.
        users: the ids of all users, in the order of the indices.
    """
    index_of = {name: index for index, name in enumerate(users)}
    columns = ([index_of[name] for name in names] for names in (memberships.groups, memberships.persons))
    pairs = np.unique(np.array(list(columns), dtype=np.int64), axis=1)
    return Groups(pairs[0], pairs[1], len(users))


def check_distinct(memberships: Memberships, groups: Sequence[str], persons: Sequence[str]) -> None:
    """Make sure that no id is that of a group and of a person, and that every group has a member.

    Args:
        memberships: the memberships by id.
        groups: the ids of groups with an interaction.
        persons: the ids of persons with an interaction.

    Raises:
        ValueError: an id is both, or a group has no member.
    """
    ids = set(memberships.groups)
    both = sorted((ids | set(groups)) & (set(persons) | set(memberships.persons)))
    if both:
        raise ValueError(
            f"{memberships.source} has {len(both)} ids of groups that are ids of persons too, such as "
            f'{shortlist(both, 3)}; give [groups] a prefix, such as prefix = "group-", which is put before the id of '
            "every group"
        )
    alone = sorted(set(groups) - ids)
    if alone:
        raise ValueError(
            f"{memberships.source} has no member of {len(alone)} groups that have interactions, such as "
            f"{shortlist(alone, 3)}; add their members, or leave their interactions out"
        )
