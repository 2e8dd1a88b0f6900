"""A trained recommender with its data and its result: recommend, find similar items, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS, Split
from flatrec.evaluation import Result, Scorer, evaluate_scorer, inner_product, rank
from flatrec.evaluation.evaluate import Mask
from flatrec.models.base import Baseline, Model


@dataclass(frozen=True)
class Recommendation:
    """One item of a list."""

    item: str  # original id
    score: float
    title: str | None = None
    image: Path | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """A recommender at its best parameters, the data it was made from, and what it scored.

    Args:
        dataset: the data.
        recommender: a model in evaluation mode, or a baseline.
        ks: the list lengths that evaluations report.
        mask: what evaluations never recommend.
        result: as in ``result.json``; empty before there is one.
    """

    dataset: Dataset
    recommender: Model | Baseline
    ks: Sequence[int] = (5, 10, 20)
    mask: Mask = "train"
    result: Mapping[str, Any] = field(default_factory=dict)

    def recommend(self, users: str | Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """The k best items for each user that the user has no pair with, in any part.

        Args:
            users: one original id or several.
            k: length of a list; shorter where a user has fewer items left.

        Raises:
            KeyError: an id is not in the data set.
            ValueError: k is below 1.
        """
        names = [users] if isinstance(users, str) else users
        numbers = torch.tensor([self.dataset.users.index_of(name) for name in names], dtype=torch.int64)
        train, *others = (self.dataset.interactions.matrix(split) for split in SPLITS)
        known = sum(others, start=train)
        ranking = rank(self.scorer(), numbers, min(k, self.dataset.n_items), sparse.csr_array(known))
        lists = zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
        return [self._described(items, scores) for items, scores in lists]

    def similar(self, item: str, k: int = 10) -> list[Recommendation]:
        """The k items most like one: by cosine of their representations, or as the baseline has it.

        Raises:
            KeyError: the id is not in the data set.
            ValueError: k is below 1.
        """
        number = self.dataset.items.index_of(item)
        itself = sparse.csr_array(([1.0], ([0], [number])), shape=(1, self.dataset.n_items))
        alike = self._similarities(number)
        ranking = rank(lambda _: alike[None], torch.zeros(1, dtype=torch.int64), min(k, self.dataset.n_items), itself)
        return self._described(ranking.items[0].tolist(), ranking.scores[0].tolist())

    def evaluate(self, split: Split = "test") -> Result:
        """Score one part of the split.

        Raises:
            ValueError: the part has no pair.
        """
        return evaluate_scorer(self.scorer(), self.dataset.interactions, split=split, ks=self.ks, mask=self.mask)

    def differing(self, split: Split, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """The metrics whose values are not those that the run recorded for a part, bit for bit.

        Other versions, threads or devices may change the last digits; anything more says that something is wrong.
        """
        recorded = self.result.get(split) or {}
        return tuple(name for name, value in metrics.items() if name in recorded and recorded[name] != value)

    def scorer(self) -> Scorer:
        """Scores of all items for a block of users; a model's representations are computed once, here."""
        if isinstance(self.recommender, Baseline):
            return self.recommender.scores
        return inner_product(*user_item_embeddings(self.recommender))

    def _similarities(self, item: int) -> Float[Tensor, "n_items"]:
        if isinstance(self.recommender, Baseline):
            return self.recommender.item_similarities(item)
        _, items = user_item_embeddings(self.recommender)
        directions = F.normalize(items, dim=1)
        return directions @ directions[item]

    def _described(self, items: Sequence[int], scores: Sequence[float]) -> list[Recommendation]:
        return [
            Recommendation(
                self.dataset.items[item],
                score,
                self.dataset.titles[item] if self.dataset.titles else None,
                self.dataset.images[item] if self.dataset.images else None,
            )
            for item, score in zip(items, scores, strict=True)
            if item >= 0
        ]


@torch.no_grad()
def user_item_embeddings(model: Model) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
    """User and item vectors of a model in evaluation mode, which is its mode again afterward."""
    training = model.training
    model.eval()
    try:
        return model.user_item_embeddings(model.encode())
    finally:
        model.train(training)
