"""Groups among the users of a recommender."""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.inference.recommender import Recommender
from flatrec.utils.messages import clipped


def check_groups(recommender: Recommender, ids: Sequence[str]) -> None:
    """Make sure that ids are those of groups.

    Raises:
        ValueError: the recommender knows no groups, or an id is that of a person or of nobody.
    """
    if not recommender.groups and ids:
        raise ValueError(
            "this recommender was trained on data without groups; use --user, or train on data with [groups]"
        )
    groups = set(recommender.groups)
    for name in ids:
        if name not in recommender.users:
            raise ValueError(
                f"there is no group {clipped(name)!r}; give its id with the prefix of [groups], if there is one"
            )
        if recommender.users.index_of(name) not in groups:
            raise ValueError(f"{clipped(name)!r} is a person, not a group; name it with --user")
