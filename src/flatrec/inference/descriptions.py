"""What a list says: ids, titles and images of its items, and why it is short or not personal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.inference.answers import AnswerPath, Recommendation
from flatrec.inference.catalog import Catalog
from flatrec.inference.rerank import Rerank, pin_note
from flatrec.utils.messages import clipped, count

if TYPE_CHECKING:
    from flatrec.inference.recommender import Recommender


def described(items: Int64[Tensor, "k"], scores: Float[Tensor, "k"], catalog: Catalog) -> tuple[Recommendation, ...]:
    """Return one list with ids, and with titles and images where these are known; -1 stands for no item."""
    titles, images = catalog.titles or (), catalog.images or ()
    return tuple(
        Recommendation(
            catalog.ids[item],
            score,
            titles[item] if item < len(titles) else None,
            images[item] if item < len(images) else None,
            bool(catalog.new[item]),
        )
        for item, score in zip(items.tolist(), scores.tolist(), strict=True)
        if item >= 0
    )


def note_of(
    recommender: Recommender,
    user: str | None,
    *,
    path: AnswerPath,
    history: Sequence[str],
    listed: Sequence[Recommendation],
    n_wanted: int,
    n_allowed: int,
    rerank: Rerank | None = None,
) -> str:
    """Return sentences on why a list is short or not personal; nothing if there is nothing to say.

    Args:
        recommender: the recommender that answered.
        user: the original id of the user; None for somebody without one.
        path: the path of the list.
        history: the history that was given for the user.
        listed: the list.
        n_wanted: number of items that the list would have without filters.
        n_allowed: number of items that the filters allow for everybody.
        rerank: what else the list should have been like.
    """
    sentences = []
    if path == "popular" and user is not None:
        if user not in recommender.users:
            sentences.append(f"user {clipped(user)!r} is not known{_left_out(recommender)}")
        elif not recommender.history[[recommender.users.index_of(user)]].nnz:
            sentences.append(f"user {clipped(user)!r} has no training interaction")
    if path == "members":
        sentences.append(f"group {clipped(str(user))!r} has no training interaction, so that its members decide")
    if path == "members" and history:
        sentences.append("the history only counts as seen")
    if path == "known" and user is not None and history:
        sentences.append(f"user {clipped(user)!r} was trained on, so that the history only counts as seen")
    if unknown := sum(item not in recommender.items for item in history):
        verb = "is" if unknown == 1 else "are"
        sentences.append(f"{unknown} of {count(len(history), 'item')} of the history {verb} not known")
    if len(listed) < n_wanted:
        left = f"only {count(len(listed), 'item')}" if listed else "no item"
        limits = f", and so are items above max_per of the best {rerank.pool}" if rerank and rerank.max_per else ""
        sentences.append(
            f"{left} left: the filters allow {n_allowed} of {len(recommender.items)} items, and what the user has seen "
            f"or may not get is left out{limits}"
        )
    if rerank and (pins := pin_note(rerank, [one.item for one in listed], n_wanted)):
        sentences.append(pins)
    return "; ".join(sentences)


def _left_out(recommender: Recommender) -> str:
    """Say why a recommender knows nobody, if its users were left out."""
    return ", as this recommender was published without its users: give a history" * bool(
        recommender.facts.left_out_users
    )
