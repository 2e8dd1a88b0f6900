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

from flatrec.config import DEFAULT_METRICS, Evaluation
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS, Interactions, Split
from flatrec.evaluation import EvaluationResult, Ranking, Scorer, evaluate_scorer, inner_product, rank, seen_mask
from flatrec.evaluation.evaluate import Mask, UnknownUsers
from flatrec.models.base import Baseline, Model
from flatrec.registry.naming import available_metrics


@dataclass(frozen=True)
class Recommendation:
    """One item of a list."""

    item: str  # original id
    score: float
    title: str | None = None
    image: Path | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """A recommender at its best parameters, its data, and its scores.

    Args:
        dataset: the data that it was trained on.
        recommender: a model in evaluation mode, or a baseline.
        ks: the list lengths that evaluations report.
        mask: what evaluations never recommend.
        result: as in ``result.json``; empty before there is one.
        metrics: what evaluations compute.
        unknown_users: whether evaluations score users without a training interaction.
    """

    dataset: Dataset
    recommender: Model | Baseline
    ks: Sequence[int] = (5, 10, 20)
    mask: Mask = "train"
    result: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[str] = DEFAULT_METRICS
    unknown_users: UnknownUsers = "include"

    @classmethod
    def of(cls, dataset: Dataset, recommender: Model | Baseline, settings: Evaluation) -> Run:
        """Return a run without a result that evaluates by these settings."""
        return cls(
            dataset,
            recommender,
            settings.ks,
            settings.mask,
            metrics=settings.metrics,
            unknown_users=settings.unknown_users,
        )

    def recommend(self, users: str | Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """Return, for each user, the k best items that the user has no interaction with in any split.

        If the mask is ``none``, as for users who come back to the same items, all items are ranked, as in evaluations.

        Args:
            users: one original id or several.
            k: length of a list; shorter if a user has fewer items left.

        Raises:
            KeyError: an id is not in the data set.
            ValueError: k is below 1.
        """
        ids = [users] if isinstance(users, str) else users
        interactions = self.dataset.interactions
        seen = seen_mask(interactions, "test", "none") if self.mask == "none" else all_interactions(interactions)
        ranking = rank(self.scorer(), user_indices(self.dataset, ids), min(k, self.dataset.n_items), seen)
        return self._described(ranking)

    def similar(self, item: str, k: int = 10) -> list[Recommendation]:
        """Return the k items most similar to an item, by the cosine of their embeddings or the baseline's similarity.

        Raises:
            KeyError: the id is not in the data set.
            ValueError: k is below 1.
        """
        index = self.dataset.items.index_of(item)
        itself = sparse.csr_array(([1.0], ([0], [index])), shape=(1, self.dataset.n_items))
        similarities = self._similarities(index)
        first_row = torch.zeros(1, dtype=torch.int64)
        ranking = rank(lambda _: similarities[None], first_row, min(k, self.dataset.n_items), itself)
        return self._described(ranking)[0]

    def evaluate(self, split: Split = "test") -> EvaluationResult:
        """Return the metrics on one split; one of the user's own that was not named is left out with a warning.

        Raises:
            ValueError: the split has no interaction.
        """
        origin = self.result.get("refit")
        if origin and not self.dataset.interactions.count(split):
            raise ValueError(
                f"a final fit is trained on all interactions, so that it has no {split} split to score; the scores of "
                f"the run that it repeats, {origin['run']}, stand in its result.json under refit"
            )
        return evaluate_scorer(
            self.scorer(),
            self.dataset.interactions,
            split=split,
            ks=self.ks,
            mask=self.mask,
            metrics=available_metrics(self.metrics),
            unknown_users=self.unknown_users,
            features=self.dataset.features,
        )

    def differing(self, split: Split, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Return the names of the metrics whose values differ from those that the run recorded for a split.

        Other versions, threads or devices may change the last digits; a larger difference means that something is
        wrong.
        """
        recorded = self.result.get(split) or {}
        return tuple(name for name, value in metrics.items() if name in recorded and recorded[name] != value)

    def scorer(self) -> Scorer:
        """Return a function that scores all items for a block of users; embeddings are computed once, here."""
        if isinstance(self.recommender, Baseline):
            return self.recommender.scores
        return inner_product(*user_item_embeddings(self.recommender))

    def _described(self, ranking: Ranking) -> list[list[Recommendation]]:
        return described(ranking, list(self.dataset.items), self.dataset.titles, self.dataset.images)

    def _similarities(self, item: int) -> Float[Tensor, "n_items"]:
        if isinstance(self.recommender, Baseline):
            return self.recommender.item_similarities(item)
        _, items = user_item_embeddings(self.recommender)
        directions = F.normalize(items, dim=1)
        return directions @ directions[item]


@torch.no_grad()
def user_item_embeddings(model: Model) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
    """Return user and item embeddings of a model in evaluation mode; its mode is restored afterward."""
    training = model.training
    model.eval()
    try:
        return model.user_item_embeddings(model.encode())
    finally:
        model.train(training)


def user_indices(dataset: Dataset, ids: Sequence[str]) -> Tensor:
    """Return the indices of users.

    Raises:
        KeyError: an id is not in the data set.
    """
    return torch.tensor([dataset.users.index_of(user) for user in ids], dtype=torch.int64)


def all_interactions(interactions: Interactions) -> sparse.csr_array:
    """Return the interactions of all splits as a matrix of users by items."""
    first, *others = (interactions.matrix(split) for split in SPLITS)
    return sparse.csr_array(sum(others, start=first))


def described(
    ranking: Ranking, ids: Sequence[str], titles: Sequence[str] | None, images: Sequence[Path | None] | None
) -> list[list[Recommendation]]:
    """Return the lists of a ranking with ids, and with titles and images where these are known."""
    titles, images = titles or (), images or ()
    return [
        [
            Recommendation(
                ids[item],
                score,
                titles[item] if item < len(titles) else None,
                images[item] if item < len(images) else None,
            )
            for item, score in zip(indices, scores, strict=True)
            if item >= 0
        ]
        for indices, scores in zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
    ]
