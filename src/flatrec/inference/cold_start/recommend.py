"""Recommend new items, alone or together with the known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import sparse

from flatrec.data.encoded_items import EncodedItems
from flatrec.inference.answers import ItemList
from flatrec.inference.cold_start.embeddings import NewItemEmbeddings, check_supported, embed_new_items
from flatrec.inference.cold_start.new_items import read_new_items
from flatrec.inference.recommender import Recommender
from flatrec.inference.run import Run
from flatrec.models.scoring import Vectors


@dataclass(frozen=True, eq=False)
class NewItemRecommendations:
    """Lists of new items, and what they were made from.

    Args:
        lists: one list per user, best first.
        embeddings: the new items and how they got their embeddings.
    """

    lists: list[ItemList]
    embeddings: NewItemEmbeddings


def recommend_new_items(
    run: Run,
    encoded: EncodedItems,
    users: str | Sequence[str],
    k: int = 10,
    *,
    source: str = "the encoded items",
    n_neighbors: int = 10,
    method: str | None = None,
    include_known: bool = False,
) -> NewItemRecommendations:
    """Return the k best new items for each user.

    Args:
        run: a trained model and its data.
        encoded: ids and features of the items, from ``flatrec.content.encode_new_items`` or
            ``flatrec.data.encoded_items.read_encoded``.
        users: one original id or several.
        k: length of a list; shorter if there are fewer items.
        source: how messages call the items, such as their folder.
        n_neighbors: number of known items per modality that a new item is compared with, at least 1.
        method: ``features`` or ``nearest``; None for the method of the model's class.
        include_known: whether known items are listed too, except those that the user has an interaction with.

    Raises:
        KeyError: a user is not in the data set.
        ValueError: the items do not fit the data set, none of them is new, the model cannot embed new items or not by
            this method, or k or n_neighbors is below 1.
    """
    check_supported(run, method=method, n_neighbors=n_neighbors)
    items = read_new_items(encoded, run.dataset, source)
    embeddings = embed_new_items(run, items, n_neighbors=n_neighbors, method=method)
    ids = [users] if isinstance(users, str) else users
    for user in ids:
        run.dataset.users.index_of(user)
    joined = with_new_items(run.recommender, embeddings)
    lists = joined.recommend(ids, k, items=None if include_known else embeddings.items.ids)
    paths = lists if include_known else [replace(answer, path="cold-item") for answer in lists]
    return NewItemRecommendations(paths, embeddings)


def with_new_items(recommender: Recommender, embeddings: NewItemEmbeddings) -> Recommender:
    """Return a recommender with new items after the known ones."""
    items = embeddings.items
    n_users, n_items = len(recommender.users), len(recommender.items) + len(items.ids)
    return replace(
        recommender,
        scoring=Vectors(embeddings.users, embeddings.all_items),
        catalog=recommender.catalog.joined(items.ids, items.features),
        history=_widened(recommender.history, (n_users, n_items)),
        seen=_widened(recommender.seen, (n_users, n_items)),
    )


def _widened(matrix: sparse.csr_array, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape)
