"""Checks of a request against the limits of the service and the ids of the recommender."""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.serve.errors import Refused
from flatrec.serve.served import Served
from flatrec.serve.settings import Limits
from flatrec.utils.messages import clipped


def check_length(name: str, k: int, most: int) -> None:
    """Refuse a list that is too long, or has no entry.

    Raises:
        Refused: k is out of range.
    """
    if not 1 <= k <= most:
        raise Refused(422, f"{name} must lie between 1 and {most}, but is {clipped(str(k))}; ask for fewer at once")


def check_ids(name: str, ids: Sequence[str], most: int, limits: Limits) -> None:
    """Refuse too many ids, or ids that are too long.

    Raises:
        Refused: there are too many, or one is too long.
    """
    if len(ids) > most:
        raise Refused(422, f"{name} may have {most} ids, but has {len(ids)}; ask for fewer at once")
    for one in ids:
        if len(one) > limits.id_length:
            raise Refused(
                422, f"an id in {name} may have {limits.id_length} characters, but {clipped(one)!r} has {len(one)}"
            )


def item_index(served: Served, item: str, limits: Limits) -> int:
    """Return the index of an item.

    Raises:
        Refused: the id is not known, or too long.
    """
    check_ids("item", [item], 1, limits)
    if item not in served.recommender.items:
        raise Refused(404, f"item {clipped(item)!r} must be one of the recommender's, but is not; look at /v1/items")
    return served.recommender.items.index_of(item)


def user_index(served: Served, user: str, limits: Limits) -> int:
    """Return the index of a user.

    Raises:
        Refused: the id is not known, or too long.
    """
    check_ids("user", [user], 1, limits)
    if user not in served.recommender.users:
        raise Refused(
            404, f"user {clipped(user)!r} must be one of the recommender's, but is not; recommend by a history"
        )
    return served.recommender.users.index_of(user)
