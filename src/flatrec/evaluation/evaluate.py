"""Score a recommender on one split of a data set by ranking all items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.config import DEFAULT_METRICS
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions, Split
from flatrec.data.released_negatives import ReleasedNegatives
from flatrec.evaluation.metrics import METRICS, EvaluationData, Metric, PerUser, TopK, resolve_metrics
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank
from flatrec.evaluation.sampled import N_NEGATIVES, mean_per_user, released_rows, sampled_lists
from flatrec.ops.process_group import current_processes
from flatrec.utils.messages import raised

Mask = Literal["train", "train+valid", "none"]
UnknownUsers: TypeAlias = Literal["include", "exclude"]
Candidates: TypeAlias = Literal["drawn", "released"]
NO_FEATURES: Mapping[str, Features] = {}


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The metrics of a recommender on one split.

    Args:
        users: indices of the users who are scored: those with at least one item in the split.
        per_user: one value per user for each metric that has one and each k, such as ``recall@10``; NaN for each user
            for whom it is not defined.
        metrics: their means over the users for whom they are defined, and the metrics of all lists together, such as
            ``item_coverage@10``. A metric that is defined for no user is left out.
        n_users_without_training: number of users with an item in the split and no training interaction. Nothing is
            known of them; ``unknown_users`` says whether they are scored.
        unknown_users: ``include`` if the means are over these users as well, ``exclude`` if not.
        n_interactions_with_unknown_items: number of interactions of the split with items without a training
            interaction. They count as relevant, also where a model cannot know the item.
        n_undefined: number of scored users for whom a metric is not defined, where there are any.
        candidates: what sampled metrics rank each relevant item among: items ``drawn`` here, or those ``released`` with
            the data; None if there is no sampled metric.
    """

    users: Int64[Tensor, "n_scored"]
    per_user: dict[str, Float[Tensor, "n_scored"]]
    metrics: dict[str, float]
    n_users_without_training: int = 0
    unknown_users: UnknownUsers = "include"
    n_interactions_with_unknown_items: int = 0
    n_undefined: dict[str, int] = field(default_factory=dict)
    candidates: Candidates | None = None


def evaluate(
    users: Float[Tensor, "n_users dim"] | Float[ndarray, "n_users dim"],
    items: Float[Tensor, "n_items dim"] | Float[ndarray, "n_items dim"],
    interactions: Interactions,
    *,
    split: Split = "valid",
    ks: Sequence[int] = (5, 10, 20),
    mask: Mask = "train",
    metrics: Sequence[str | type[Metric]] = DEFAULT_METRICS,
    unknown_users: UnknownUsers = "include",
    features: Mapping[str, Features] = NO_FEATURES,
    sampled_negatives: int = N_NEGATIVES,
) -> EvaluationResult:
    """Evaluate embeddings, of any library, whose inner products are the scores.

    Args:
        users: one row per user, as a tensor or an array; scored in float32.
        items: one row per item.
        interactions: the interactions of all splits.
        split: the split whose interactions count as hits.
        ks: the list lengths.
        mask: what is never recommended: training interactions as in the field's libraries, or validation interactions
            as well when the test split is scored; none where users come back to the same items (``repeat = true``).
        metrics: names as in ``flatrec list metrics``, or subclasses of :class:`flatrec.evaluation.Metric`.
        unknown_users: whether users without a training interaction are scored.
        features: item features by modality, such as ``dataset.features``, for metrics that need them.
        sampled_negatives: number of drawn items that sampled metrics rank each relevant item among.

    Raises:
        ValueError: the number of rows differs from the number of users or items, the split has no interaction or is
            the training split, a list length is below 1, or a metric is unknown or lacks the features it needs.
    """
    shapes = (len(users), len(items))
    if shapes != (interactions.n_users, interactions.n_items):
        raise ValueError(
            f"expected {interactions.n_users} user and {interactions.n_items} item rows, but got {shapes[0]} and "
            f"{shapes[1]}; embeddings and data set must belong together"
        )
    score = inner_product(torch.as_tensor(users).float(), torch.as_tensor(items).float())
    return evaluate_scorer(
        score,
        interactions,
        split=split,
        ks=ks,
        mask=mask,
        metrics=metrics,
        unknown_users=unknown_users,
        features=features,
        sampled_negatives=sampled_negatives,
    )


def evaluate_scorer(
    score: Scorer,
    interactions: Interactions,
    *,
    split: Split = "valid",
    ks: Sequence[int] = (5, 10, 20),
    mask: Mask = "train",
    metrics: Sequence[str | type[Metric]] = DEFAULT_METRICS,
    unknown_users: UnknownUsers = "include",
    features: Mapping[str, Features] = NO_FEATURES,
    sampled_negatives: int = N_NEGATIVES,
    released_negatives: ReleasedNegatives | None = None,
) -> EvaluationResult:
    """Evaluate a function that scores all items for a block of users; the settings are those of :func:`evaluate`.

    Args:
        score: the function; given user indices, it returns the scores of all items.
        interactions: as for :func:`evaluate`.
        split: as for :func:`evaluate`.
        ks: as for :func:`evaluate`.
        mask: as for :func:`evaluate`.
        metrics: as for :func:`evaluate`.
        unknown_users: as for :func:`evaluate`.
        features: as for :func:`evaluate`.
        sampled_negatives: as for :func:`evaluate`.
        released_negatives: items that sampled metrics rank each relevant item among instead, if every interaction of
            the scored users in the test split has some.

    Raises:
        ValueError: the split has no interaction or is the training split, a list length is below 1, or a metric is
            unknown or lacks the features it needs.
    """
    chosen = resolve_metrics(metrics)
    _check(ks, split, chosen, features)
    relevant = interactions.matrix(split)
    users = _scored(interactions, split, unknown_users)
    ranking = _ranked(score, users, max(ks), seen_mask(interactions, split, mask))
    lists = TopK(
        ranking.items,
        ranking.scores,
        _hits(ranking, relevant, users),
        torch.from_numpy(np.diff(relevant.indptr)[users.numpy()].astype(np.int64)),
        EvaluationData(interactions, split, users, features),
    )
    values = _values({name: one for name, one in chosen.items() if not one.sampled}, lists, ks)
    candidates: Candidates | None = None
    if sampled := {name: one for name, one in chosen.items() if one.sampled}:
        of_items = sampled_lists(score, lists.data, max(ks), sampled_negatives, released=released_negatives)
        values |= _sampled_values(sampled, of_items, ks)
        candidates = "drawn" if released_rows(released_negatives, lists.data) is None else "released"
    per_user = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    undefined = {name: int(value.isnan().sum()) for name, value in per_user.items()}
    means = {
        name: float(value.nanmean() if undefined[name] else value.mean()) if isinstance(value, Tensor) else value
        for name, value in values.items()
        if undefined.get(name) != len(users)
    }
    return EvaluationResult(
        users,
        per_user,
        means,
        len(interactions.users_without_training(split)),
        unknown_users,
        interactions.count_with_unknown_items(split),
        {name: count for name, count in undefined.items() if count},
        candidates,
    )


def check_features(metrics: Mapping[str, Metric], features: Mapping[str, Features]) -> None:
    """Make sure that there are item features if a metric needs them.

    Raises:
        ValueError: there are none.
    """
    for name, metric in metrics.items():
        if metric.needs_features and not features:
            raise ValueError(
                f"{name} compares items by their features, but the data have none; leave it out of evaluation.metrics, "
                "or add features such as images or texts"
            )


def _check(ks: Sequence[int], split: Split, metrics: Mapping[str, Metric], features: Mapping[str, Features]) -> None:
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold list lengths of at least 1, but is {list(ks)}")
    if not metrics:
        raise ValueError("metrics must name at least one metric, but there is none; see flatrec list metrics")
    if split == "train":
        raise ValueError(
            "the training split cannot be scored, as its interactions are never recommended; choose valid or test"
        )
    check_features(metrics, features)


def _scored(interactions: Interactions, split: Split, unknown_users: UnknownUsers) -> Int64[Tensor, "n_scored"]:
    """Return the users with an interaction in the split; if unknown users are excluded, with one in training too."""
    users = np.flatnonzero(np.diff(interactions.matrix(split).indptr))
    if not len(users):
        raise ValueError(f"the {split} split has no interaction, so there is nothing to score; split the data again")
    if unknown_users == "exclude":
        users = np.setdiff1d(users, interactions.users_without_training(split))
        if not len(users):
            raise ValueError(
                f"no user with a {split} interaction has a training interaction, so that unknown_users=exclude leaves "
                "nobody to score; set it to include, or split the data again"
            )
    return torch.from_numpy(users.astype(np.int64))


def _ranked(score: Scorer, users: Int64[Tensor, "n_scored"], k: int, seen: sparse.csr_array) -> Ranking:
    """Return the lists of all users; where processes train together, each of them ranks for some."""
    group = current_processes()
    if group is None or len(users) < group.size:
        return rank(score, users, k, seen)
    own = rank(score, users[group.own(len(users))], k, seen)
    return Ranking(group.rows(own.items), group.rows(own.scores))


def _values(metrics: Mapping[str, Metric], lists: TopK, ks: Sequence[int]) -> dict[str, PerUser | float]:
    """Return what metrics compute of the first k items of each list, for each k."""
    cuts = {k: lists.cut(k) for k in ks}
    return {f"{name}@{k}": _value(name, metric, cut) for k, cut in cuts.items() for name, metric in metrics.items()}


def _sampled_values(metrics: Mapping[str, Metric], lists: TopK, ks: Sequence[int]) -> dict[str, PerUser | float]:
    """Return the same of lists with one row per interaction, as means over the interactions of each user."""
    values = _values(metrics, lists, ks)
    users = lists.data.users
    return {name: mean_per_user(value, users) if isinstance(value, Tensor) else value for name, value in values.items()}


def _value(name: str, metric: Metric, lists: TopK) -> PerUser | float:
    """Return what a metric computes; a metric of the user's own is checked."""
    if metric is METRICS.get(name):
        return metric.compute(lists)
    try:
        value = metric.compute(lists)
    except Exception as error:  # a stranger's code may raise anything
        raise ValueError(f"metric {name} raised {raised(error)}") from error
    numbers = torch.as_tensor(value) if isinstance(value, (Tensor, int, float)) else torch.zeros(0, 0)
    if numbers.shape not in ((), (len(lists.items),)) or numbers.isinf().any():
        shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ValueError(
            f"metric {name} must return a tensor with one finite value (or NaN) per user, here {len(lists.items)}, or "
            f"one finite number, but returned {shape}"
        )
    if numbers.ndim == 0 and numbers.isnan():
        raise ValueError(f"metric {name} returned NaN for all lists together; return a number")
    return numbers.double().cpu() if numbers.ndim else float(numbers)


def seen_mask(interactions: Interactions, split: Split, mask: Mask) -> sparse.csr_array:
    """Return the interactions that are never recommended when a split is scored."""
    if mask == "none":
        nothing = np.zeros(0, dtype=np.int32)
        return sparse.csr_array((nothing, (nothing, nothing)), shape=(interactions.n_users, interactions.n_items))
    seen = interactions.matrix("train")
    if mask == "train+valid" and split == "test":
        seen = sparse.csr_array(seen + interactions.matrix("valid"))
    return seen


def _hits(ranking: Ranking, relevant: sparse.csr_array, users: Int64[Tensor, "n_scored"]) -> Bool[Tensor, "n_scored k"]:
    """Return which listed items are relevant, by one binary search over all relevant interactions."""
    n_items = relevant.shape[1]
    owners = np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))
    keys = torch.from_numpy(owners * n_items + relevant.indices)
    listed = users[:, None] * n_items + ranking.items
    positions = torch.searchsorted(keys, listed).clamp_(max=len(keys) - 1)
    return (keys[positions] == listed) & (ranking.items >= 0)
