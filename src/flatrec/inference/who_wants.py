"""The users who want an item most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from flatrec.inference.recommender import Recommender
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors
from flatrec.ops.matmul import linear
from flatrec.ops.topk import stable_topk

BLOCK_USERS = 65_536

UserScorer = Callable[[slice], Tensor]


@dataclass(frozen=True)
class InterestedUser:
    """A user who may want an item.

    Args:
        user: original id.
        score: the score of the item for the user, as :meth:`flatrec.inference.recommender.Recommender.score` gives it.
    """

    user: str
    score: float


def who_wants(
    recommender: Recommender, item: str, k: int = 10, *, filter_seen: bool | None = None
) -> list[InterestedUser]:
    """Return the k users for whom an item, known or new, has the highest score; of equal scores the first users.

    Scores of different users are compared as they are: they are trained to order the items of one user, so that users
    with long embeddings come first. Users without a training interaction are left out, as nothing is known of them.
    All users are scored, in blocks: O(n_users * dim) time.

    Args:
        recommender: the users and items.
        item: original id.
        k: number of users; fewer are returned if fewer are left.
        filter_seen: whether users who have an interaction with the item are left out; by default they are, unless
            lists may repeat seen items.

    Raises:
        KeyError: the item is not known.
        ValueError: k is below 1, the scores are the same for every user, or the users were left out.

    Example:
        >>> import flatrec
        >>> from flatrec.testing import block_dataset
        >>> recommender = flatrec.fit(block_dataset(users=2), "item-knn").recommender
        >>> [wanted.user for wanted in who_wants(recommender, "item 0", k=2, filter_seen=False)]
        ['user 0', 'user 1']
    """
    index = recommender.items.index_of(item)
    score = _scorer(recommender.scoring, index)
    hidden = _left_out(recommender, index, recommender.filter_seen if filter_seen is None else filter_seen)
    return _best_users(recommender, score, hidden, k)


def who_wants_vector(recommender: Recommender, vector: Float[Tensor, "dim"], k: int = 10) -> list[InterestedUser]:
    """Return the k users for whom an item that the recommender does not hold has the highest score.

    It equals :func:`who_wants` of the item in a recommender that it has joined.

    Args:
        recommender: the users, with vectors.
        vector: the vector of the item, such as from :class:`flatrec.inference.joining.ItemEmbedder`.
        k: number of users; fewer are returned if fewer are left.

    Raises:
        ValueError: k is below 1, or the recommender has no vectors of that width.
    """
    scoring = recommender.scoring
    if not isinstance(scoring, Vectors) or scoring.users.shape[1] != len(vector):
        raise ValueError(
            f"a vector of {len(vector)} columns is compared with such vectors of users, but {recommender.facts.model} "
            "has none; embed the item by this recommender"
        )

    def score(block: slice) -> Tensor:
        return linear(scoring.users[block], vector[None])[:, 0]

    return _best_users(recommender, score, torch.from_numpy(~recommender.learned), k)


def _best_users(recommender: Recommender, score: UserScorer, hidden: Tensor, k: int) -> list[InterestedUser]:
    """Return the k best users in blocks; those that are hidden are left out.

    Raises:
        ValueError: k is below 1, or the users were left out.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}")
    if not len(recommender.users):
        raise ValueError("the users were left out of this recommender, so that it cannot list who wants an item")
    best_scores, best_users = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    for start in range(0, len(hidden), BLOCK_USERS):
        block = slice(start, min(start + BLOCK_USERS, len(hidden)))
        scores = score(block).float().masked_fill(hidden[block], -torch.inf)
        users = torch.arange(block.start, block.stop)
        best_scores, best_users = _best(torch.cat([best_scores, scores]), torch.cat([best_users, users]), k)
    return [
        InterestedUser(recommender.users[user], value)
        for user, value in zip(best_users.tolist(), best_scores.tolist(), strict=True)
        if value > -torch.inf
    ]


def _scorer(scoring: Scoring, item: int) -> UserScorer:
    """Return a function that scores the item for the users of a slice.

    Raises:
        ValueError: the score of an item is the same for every user.
    """
    if isinstance(scoring, ItemScores):
        raise ValueError(
            "popularity scores an item the same for every user, so that nobody wants it more than others; ask a "
            "recommender that was trained by users, such as bpr or item-knn"
        )
    if isinstance(scoring, (ItemMatrix, UserMatrix, ProductPerceptron)):
        return lambda block: scoring.scores_of_item(block, item)
    return lambda block: linear(scoring.users[block], scoring.items[[item]])[:, 0]


def _left_out(recommender: Recommender, item: int, filter_seen: bool) -> Tensor:
    """Return which users are not listed."""
    hidden = ~recommender.learned
    if filter_seen:
        hidden[sparse.csc_array(recommender.seen[:, [item]]).indices] = True
    return torch.from_numpy(hidden)


def _best(
    scores: Float[Tensor, "n"], users: Int64[Tensor, "n"], k: int
) -> tuple[Float[Tensor, "k"], Int64[Tensor, "k"]]:
    """Return the k best users, best first; of equal scores the first ones, if ``users`` orders equal scores by user."""
    values, columns = stable_topk(scores[None], min(k, len(scores)))
    return values[0], users[columns[0]]
