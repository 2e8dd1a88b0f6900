"""A trained recommender with its data and its result: recommend, find similar items, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.config import DEFAULT_METRICS, Evaluation
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions, Split
from flatrec.evaluation import EvaluationResult, Scorer, evaluate_scorer
from flatrec.evaluation.evaluate import Mask, UnknownUsers
from flatrec.evaluation.sampled import N_NEGATIVES
from flatrec.evaluation.scored_users import ScoredUsers, scored_interactions
from flatrec.inference.answers import ItemList, ItemLists
from flatrec.inference.catalog import Catalog
from flatrec.inference.item_contributions import item_contributions
from flatrec.inference.matching import all_interactions
from flatrec.inference.recommender import Facts, Recommender
from flatrec.models.base import Baseline, Encoded, Model
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import Scoring, Vectors
from flatrec.registry.naming import available_metrics
from flatrec.training.records import EpochRecord

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A recommender at its best parameters, its data, and its scores.

    Args:
        dataset: the data that it was trained on.
        model: a model in evaluation mode, or a baseline.
        ks: the list lengths that evaluations report.
        mask: what evaluations never recommend.
        result: as in ``result.json``; empty before there is one.
        metrics: what evaluations compute.
        unknown_users: whether evaluations score users without a training interaction.
        users: which users evaluations score.
        sampled_negatives: number of items that sampled metrics draw.
        records: what is known of each epoch, as in ``epochs.jsonl``; none of a baseline.
    """

    dataset: Dataset
    model: Model | Baseline
    ks: Sequence[int] = (5, 10, 20)
    mask: Mask = "train"
    result: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[str] = DEFAULT_METRICS
    unknown_users: UnknownUsers = "include"
    users: ScoredUsers = "all"
    sampled_negatives: int = N_NEGATIVES
    records: Sequence[EpochRecord] = ()

    @classmethod
    def of(cls, dataset: Dataset, model: Model | Baseline, settings: Evaluation) -> Run:
        """Return a run without a result that evaluates by these settings."""
        return cls(
            dataset,
            model,
            settings.ks,
            settings.mask,
            metrics=settings.metrics,
            unknown_users=settings.unknown_users,
            users=settings.users,
            sampled_negatives=settings.sampled_negatives,
        )

    def __repr__(self) -> str:
        from flatrec.display.run import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from flatrec.display.run import describe_html

        return describe_html(self)

    @cached_property
    def scored(self) -> Interactions:
        """The interactions that evaluations read.

        Raises:
            ValueError: groups are to be scored, and there are none.
        """
        return scored_interactions(self.dataset, self.users)

    @cached_property
    def recommender(self) -> Recommender:
        """What answers requests, without the data and the model: computed when it is first asked for, and kept."""
        interactions, result = self.dataset.interactions, self.result
        scoring = self.scoring()
        return Recommender(
            scoring=_on_cpu(scoring, self.model, interactions),
            users=self.dataset.users,
            catalog=Catalog.of(self.dataset),
            history=interactions.weight_matrix("train"),
            seen=all_interactions(interactions),
            filter_seen=self.mask != "none",
            groups=() if self.dataset.groups is None else tuple(self.dataset.groups.indices.tolist()),
            by_members=_groups_by_members(self.model, self.dataset),
            facts=Facts(
                model=result.get("model", type(self.model).__name__),
                strategy=result.get("strategy", "none"),
                data=self.dataset.name,
                fingerprint=self.dataset.fingerprint,
                run=result.get("run", ""),
                test=result.get("test") or {},
            ),
        )

    def recommend(self, users: str | Sequence[str], k: int = 10) -> ItemLists:
        """Return, for each user, the k best items that the user has no interaction with in any split.

        If the mask is ``none``, as for users who come back to the same items, all items are ranked, as in evaluations.
        :meth:`flatrec.inference.recommender.Recommender.recommend` has filters and more.

        Raises:
            ValueError: k is below 1.
        """
        return self.recommender.recommend(users, k)

    def similar(self, item: str, k: int = 10) -> ItemList:
        """Return the k items most similar to an item, by the cosine of their embeddings or the baseline's similarity.

        Raises:
            KeyError: the id is not in the data set.
            ValueError: k is below 1.
        """
        return self.recommender.similar(item, k)[0]

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
            self.scored,
            split=split,
            ks=self.ks,
            mask=self.mask,
            metrics=available_metrics(self.metrics),
            unknown_users=self.unknown_users,
            features=self.dataset.features,
            sampled_negatives=self.sampled_negatives,
            released_negatives=self.dataset.released_negatives,
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
        return self.scoring().scores

    def scoring(self) -> Scoring:
        """Return how the scores are made, by the parameters that the model has now."""
        if isinstance(self.model, Baseline):
            return self.model.scoring()
        return scoring_of(self.model)


def _groups_by_members(model: Model | Baseline, dataset: Dataset) -> tuple[int, ...]:
    """Return the groups without a training interaction whose vectors follow from members with one."""
    groups = dataset.groups
    if groups is None or isinstance(model, Baseline) or not model.GROUPS_BY_MEMBERS:
        return ()
    trained = np.bincount(dataset.interactions.indices("train")[0], minlength=dataset.n_users) > 0
    by_members = np.unique(groups.groups[trained[groups.persons]])
    return tuple(by_members[~trained[by_members]].tolist())


def _on_cpu(scoring: Scoring, model: Model | Baseline, interactions: Interactions) -> Scoring:
    """Return copies of vectors, on the CPU, which no further training changes, and the items' contributions in them."""
    if isinstance(scoring, ProductPerceptron):
        return scoring.on_cpu()
    if not isinstance(scoring, Vectors) or isinstance(model, Baseline):
        return scoring
    users, items = (table.detach().float().cpu().clone() for table in (scoring.users, scoring.items))
    return Vectors(users, items, item_contributions(model, interactions))


def user_item_embeddings(model: Model) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
    """Return user and item embeddings of a model in evaluation mode; its mode is restored afterward."""
    return _evaluated(model, model.user_item_embeddings)


def scoring_of(model: Model) -> Scoring:
    """Return how a model in evaluation mode scores; its mode is restored afterward."""
    return _evaluated(model, model.scoring)


@torch.no_grad()
def _evaluated(model: Model, read: Callable[[Encoded], T]) -> T:
    training = model.training
    model.eval()
    try:
        return read(model.encode())
    finally:
        model.train(training)
