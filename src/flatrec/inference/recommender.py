"""A trained recommender that lives on its own: it needs neither the training data nor the class of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float32
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation import Ranking, rank
from flatrec.inference.ann.index import ItemIndex
from flatrec.inference.answers import AnswerPath, ItemList, ItemLists, Ranked
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.descriptions import described
from flatrec.inference.fold_in import DEFAULT, FoldIn
from flatrec.inference.lists import make_lists, rank_lists
from flatrec.inference.request import Histories, ListRequest, asked_users, histories_by_user
from flatrec.inference.rerank import Rerank
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import ItemScores, Scoring, Vectors

if TYPE_CHECKING:
    from flatrec.data.encoded_items import EncodedItems
    from flatrec.inference.ann.settings import IndexSettings
    from flatrec.inference.joining import ItemDetails
    from flatrec.inference.who_wants import InterestedUser


@dataclass(frozen=True)
class Facts:
    """What a recommender was trained by and on.

    Args:
        model: the name of the model or baseline.
        strategy: the name of the strategy; ``none`` for a baseline.
        data: the name of the data set.
        fingerprint: the digest of the data set.
        run: the digest by which the run is told from others; empty if it was made in memory.
        test: the metrics on the test split, where there is one.
        forgotten: the rows, in the tables of the run, of users who were removed from the recommender.
        left_out_users: the number of users, if all of them were left out, as in what ``flatrec push`` publishes.
        new_item_scale: the scale of the embeddings of new items, if it was found before the users were left out.
    """

    model: str
    strategy: str = "none"
    data: str = ""
    fingerprint: str = ""
    run: str = ""
    test: Mapping[str, float] = field(default_factory=dict)
    forgotten: Sequence[int] = ()
    left_out_users: int = 0
    new_item_scale: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Recommender:
    """Users, items, how scores are made, and what users have seen; immutable, on the CPU.

    ``flatrec.load_recommender(folder)`` reads one, ``Run.recommender`` makes one of a trained run.

    Args:
        scoring: vectors, a matrix of similar items or users, a perceptron, or one score per item.
        users: original user ids, in the order of the indices.
        catalog: the items.
        history: weights of the training interactions, (n_users, n_items).
        seen: the interactions of all splits, (n_users, n_items); stored entries count whatever their value.
        filter_seen: whether lists leave out seen items unless they are asked for.
        facts: what it was trained by and on.
        histories: items of users who were not trained on, by user, where none are given with a request.
        index: an approximate index of the item vectors, through which lists are found; without one they are exact.
        groups: the indices of the users that are groups, in increasing order.
        by_members: the indices of the groups without a training interaction whose scores follow from their members.

    Raises:
        ValueError: the parts are not for the same users and items.

    Example:
        >>> import flatrec
        >>> from flatrec.testing import block_dataset
        >>> run = flatrec.fit(block_dataset(), "item-knn")
        >>> [len(items) for items in run.recommender.recommend(list(run.dataset.users)[:2], k=1)]
        [1, 1]
    """

    scoring: Scoring
    users: Vocabulary
    catalog: Catalog
    history: sparse.csr_array
    seen: sparse.csr_array
    filter_seen: bool = True
    facts: Facts = Facts("unknown")
    histories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    index: ItemIndex | None = None
    groups: Sequence[int] = ()
    by_members: Sequence[int] = ()

    def __post_init__(self) -> None:
        expected = (len(self.users), len(self.catalog))
        shapes = {
            "scoring": (self.scoring.n_users, self.scoring.n_items),
            "history": self.history.shape,
            "seen": self.seen.shape,
        }
        for name, shape in shapes.items():
            if shape != expected:
                raise ValueError(
                    f"{name} is for {shape[0]} users and {shape[1]} items, but there are {expected[0]} user ids and "
                    f"{expected[1]} item ids; all parts must be of one data set"
                )
        if self.index is not None:
            if not isinstance(self.scoring, Vectors):
                raise ValueError("an index is of item vectors, but this recommender has none; leave the index out")
            self.index.check(self.scoring.n_items, self.scoring.items.shape[1])

    def __repr__(self) -> str:
        trained = "" if self.facts.strategy == "none" else f" with {self.facts.strategy}"
        return f"Recommender {self.facts.model}{trained}: {len(self.users)} users, {len(self.items)} items"

    @property
    def items(self) -> Vocabulary:
        """Original item ids, in the order of the indices."""
        return self.catalog.ids

    def recommend(
        self,
        users: str | Sequence[str] | None = None,
        k: int = 10,
        *,
        filter_seen: bool | None = None,
        items: Sequence[str] | None = None,
        exclude: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        where: str | None = None,
        history: Histories | None = None,
        fold_in: FoldIn = DEFAULT,
        rerank: Rerank | None = None,
        explain: bool = False,
    ) -> ItemLists:
        """Return the k best items for each user, and by which path each list came about.

        A user who was trained on is answered by what was learned (path ``known``). Anybody else is answered from the
        history of items that is given (``history``), or else by the most popular items (``popular``). All paths obey
        the same filters; a list that the filters leave empty says so in its note.

        Args:
            users: one original id or several, known or not; None for somebody without an id.
            k: length of a list; shorter if fewer items are left.
            filter_seen: whether items that a user has an interaction with, or has in the history, are left out. By
                default they are, unless the run was evaluated with ``evaluation.mask = "none"``.
            items: ids of the only items that may be recommended.
            exclude: ids of items that may not, for everybody or by user.
            where: a condition on item columns, such as ``in_stock = true and price < 30``.
            history: item ids that a user who was not trained on is judged by, for all users or by user; unknown ids
                are left out. For a user who was trained on, they only count as seen.
            fold_in: how a vector is made of a history, if the recommender has vectors.
            rerank: what else the lists should be like, beyond the order of the scores.
            explain: whether each item names the user's own items that contributed most to its score.

        Raises:
            TypeError: ids are no texts, or one text where several are expected.
            ValueError: k is below 1, a condition is malformed or names an unknown column, or the items cannot be
                re-ranked so.
        """
        asked = asked_users(users)
        histories = self._histories(asked, histories_by_user(history, asked))
        filters = Filters(filter_seen, items, exclude, where)
        request = ListRequest(asked, k, filters, histories=histories, fold_in=fold_in, rerank=rerank)
        return make_lists(self, request, explain=explain)

    def rank(
        self,
        users: Sequence[str | None],
        k: int,
        filters: Filters = Filters(),  # noqa: B008
        *,
        histories: Mapping[str | None, Sequence[str]] | None = None,
        fold_in: FoldIn = DEFAULT,
        rerank: Rerank | None = None,
    ) -> Ranked:
        """Return the k best items for many users by index; the same answers as :meth:`recommend`, in less memory.

        Args:
            users: original ids, known or not; None for somebody without one.
            k: length of a list.
            filters: which items may be recommended.
            histories: items by user, for users who were not trained on.
            fold_in: how a vector is made of a history.
            rerank: what else the lists should be like.

        Raises:
            ValueError: k is below 1, a filter is malformed, or the items cannot be re-ranked so.
        """
        known = self._histories(users, histories or {})
        return rank_lists(self, ListRequest(users, k, filters, histories=known, fold_in=fold_in, rerank=rerank))

    def similar(self, items: str | Sequence[str], k: int = 10, *, where: str | None = None) -> ItemLists:
        """Return, for each item, the k items most similar to it: by cosine of vectors, or by the stored similarities.

        Args:
            items: one original id or several.
            k: length of a list.
            where: a condition on item columns that the listed items fulfill.

        Raises:
            KeyError: an id is not known.
            ValueError: k is below 1, or the condition is malformed.
        """
        mask = Filters(where=where).allowed(self.catalog)
        allowed = None if mask is None else torch.from_numpy(mask)
        asked = [items] if isinstance(items, str) else items
        lists = ItemLists()
        for index in [self.items.index_of(item) for item in asked]:
            ranking = self.rank_similar(index, k, allowed)
            path: AnswerPath = "cold-item" if self.catalog.new[index] else "known"
            note = "" if (ranking.items >= 0).any() else "no other item is left by the filters"
            lists.append(ItemList(described(ranking.items[0], ranking.scores[0], self.catalog), path, None, note))
        return lists

    def rank_similar(self, item: int, k: int, allowed: Tensor | None = None) -> Ranking:
        """Return the k items most similar to an item, by index, as one row.

        Raises:
            ValueError: k is below 1.
        """
        itself = sparse.csr_array(([1.0], ([0], [item])), shape=(1, len(self.items)))
        similarities = self.scoring.item_similarities(item)
        row = torch.zeros(1, dtype=torch.int64)
        return rank(lambda _: similarities[None], row, min(k, len(self.items)), itself, allowed=allowed)

    def with_items(
        self,
        encoded: EncodedItems,
        details: ItemDetails | None = None,
        *,
        n_neighbors: int = 10,
        source: str = "the encoded items",
    ) -> Recommender:
        """Return a recommender with new items, by their features; this one stays as it is.

        A new item gets the average embedding of the most similar known items, on one scale with theirs. Then it is
        recommended, compared and scored as any other item. :func:`flatrec.inference.joining.join_nearest` returns as
        well which items were left out and how the scale was found, and
        :func:`flatrec.inference.cold_start.join_new_items` uses the method of the model.

        Args:
            encoded: ids and features of the items, from ``flatrec.content.encode_new_items`` or
                ``flatrec.data.encoded_items.read_encoded``; those that are known already are left out.
            details: titles, images and item columns for filters, one per id of ``encoded``.
            n_neighbors: number of known items per modality that a new item is compared with, at least 1.
            source: how messages call the items, such as their folder.

        Raises:
            ValueError: this recommender has no vectors of items or holds no features, the items do not
                fit it, none of them is new, or n_neighbors is below 1.
        """
        from flatrec.inference.joining import ItemDetails, join_nearest

        details = details or ItemDetails()
        return join_nearest(self, encoded, details, n_neighbors=n_neighbors, source=source).recommender

    def score(self, users: str | Sequence[str], items: str | Sequence[str]) -> Float32[ndarray, "n_users n_items"]:
        """Return the score of each of the items for each of the users.

        Raises:
            KeyError: a user or an item is not known.
        """
        rows, columns = (
            torch.tensor(
                [vocabulary.index_of(name) for name in ([names] if isinstance(names, str) else names)],
                dtype=torch.int64,
            )
            for vocabulary, names in ((self.users, users), (self.items, items))
        )
        scores: ndarray = self.scoring.scores(rows)[:, columns].float().numpy()
        return scores

    def who_wants(self, item: str, k: int = 10, *, filter_seen: bool | None = None) -> list[InterestedUser]:
        """Return the k users for whom an item, known or new, has the highest score.

        Scores of different users are compared as they are; see :mod:`flatrec.inference.who_wants`.

        Args:
            item: original id.
            k: number of users.
            filter_seen: whether users who have an interaction with the item are left out.

        Raises:
            KeyError: the item is not known.
            ValueError: k is below 1, or the scores are the same for every user.
        """
        from flatrec.inference.who_wants import who_wants

        return who_wants(self, item, k, filter_seen=filter_seen)

    def with_index(self, settings: IndexSettings | None = None) -> Recommender:
        """Return the same recommender with an approximate index of its items, for large catalogs.

        Lists are found through the index and scored exactly; a few of their items may differ from those of exact lists.
        See :func:`flatrec.inference.ann.build_index`.

        Raises:
            ModuleNotFoundError: faiss is not installed.
            ValueError: the recommender has no vectors or no users, there are too few items, or too little of exact
                lists is found.
        """
        from flatrec.inference.ann import IndexSettings, build_index

        if not len(self.users):
            raise ValueError(
                "an index is measured by the lists of users, who were left out of this recommender; its lists are "
                "exact without one"
            )
        if isinstance(self.scoring, ProductPerceptron):
            raise ValueError(f"an index finds items by their vectors, but {NO_VECTORS}")
        if not isinstance(self.scoring, Vectors):
            raise ValueError(
                f"an index is of item vectors, but {self.facts.model} has none; its lists are exact without one"
            )
        seen = self.seen if self.filter_seen else sparse.csr_array(self.seen.shape)
        return replace(self, index=build_index(self.scoring, seen, settings or IndexSettings()))

    def with_interactions(self, dataset: Dataset) -> Recommender:
        """Return a recommender that takes newer interactions into account, of all splits of a data set.

        :func:`flatrec.inference.new_interactions.add_interactions` counts them as well. Users that it was trained on
        keep what was learned of them, and their new interactions count as seen. Other users are answered by their
        interactions (path ``history``), and items that it does not know are left out.
        """
        from flatrec.inference.new_interactions import add_interactions

        return add_interactions(self, dataset).recommender

    def without_users(self, users: Sequence[str]) -> Recommender:
        """Return a recommender without users: their ids, vectors, histories and seen items.

        Raises:
            KeyError: an id is not known.
            ValueError: nobody would be left.
        """
        from flatrec.inference.forget import without_users

        return without_users(self, users)

    @property
    def learned(self) -> Bool[ndarray, "n_users"]:
        """True for each user whose scores were learned: by the user's interactions, or those of a group's members."""
        learned: ndarray = np.diff(self.history.indptr) > 0
        learned[list(self.by_members)] = True
        return learned

    @property
    def popular(self) -> ItemScores:
        """What users of whom nothing is known get: the most popular items, or what everybody gets."""
        if isinstance(self.scoring, ItemScores):
            return self.scoring
        return ItemScores(torch.from_numpy(self.catalog.popularity).float(), len(self.users))

    def _histories(
        self, users: Sequence[str | None], given: Mapping[str | None, Sequence[str]]
    ) -> dict[str | None, Sequence[str]]:
        """Return the history of each user: what this recommender knows of it, then what is given."""
        known: dict[str | None, Sequence[str]] = {
            user: self.histories[user] for user in users if user is not None and user in self.histories
        }
        return {user: (*known.get(user, ()), *given.get(user, ())) for user in {**known, **given}}
