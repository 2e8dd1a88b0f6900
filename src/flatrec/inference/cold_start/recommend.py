"""Recommend new items, alone or together with the known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import sparse

from flatrec.data.encoded_items import EncodedItems
from flatrec.evaluation import inner_product, rank
from flatrec.inference.cold_start.embeddings import NewItemEmbeddings, check_supported, embed_new_items
from flatrec.inference.known_items import KnownItems
from flatrec.inference.new_items import read_new_items
from flatrec.inference.run import Recommendation, Run, all_interactions, described, user_indices


@dataclass(frozen=True, eq=False)
class NewItemRecommendations:
    """Lists of new items, and what they were made from.

    Args:
        lists: one list per user, best first.
        embeddings: the new items and how they got their embeddings.
    """

    lists: list[list[Recommendation]]
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
    items = read_new_items(encoded, KnownItems.of(run.dataset), source)
    embeddings = embed_new_items(run, items, n_neighbors=n_neighbors, method=method)
    ids = [users] if isinstance(users, str) else users
    return NewItemRecommendations(rank_new_items(run, embeddings, ids, k, include_known=include_known), embeddings)


def rank_new_items(
    run: Run, embeddings: NewItemEmbeddings, users: Sequence[str], k: int, *, include_known: bool = False
) -> list[list[Recommendation]]:
    """Return the k best new items for each user, given their embeddings.

    Raises:
        KeyError: a user is not in the data set.
        ValueError: k is below 1.
    """
    dataset, indices = run.dataset, user_indices(run.dataset, users)
    new_ids, n_users = list(embeddings.items.ids), run.dataset.n_users
    if include_known:
        ids = [*dataset.items, *new_ids]
        seen = all_interactions(dataset.interactions)
        seen = sparse.csr_array((seen.data, seen.indices, seen.indptr), shape=(n_users, len(ids)))
        ranking = rank(inner_product(embeddings.users, embeddings.all_items), indices, min(k, len(ids)), seen)
        return described(ranking, ids, dataset.titles, dataset.images)
    seen = sparse.csr_array((n_users, len(new_ids)))
    ranking = rank(inner_product(embeddings.users, embeddings.new_items), indices, min(k, len(new_ids)), seen)
    return described(ranking, new_ids, None, None)
