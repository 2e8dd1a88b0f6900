"""Disturbed training interactions: the run is trained again on them, by its own settings."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import Generator

from flatrec.api import run_experiment
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.run import Run
from flatrec.models.base import Model
from flatrec.research.robustness.base import Disturbance, Outcome
from flatrec.research.robustness.subject import Subject, evaluation_of, scores_of, scoring_of
from flatrec.research.robustness.target import TargetHits, target_hit_rates
from flatrec.utils import seeding

LEVELS = (0.1, 0.2)
POPULAR = 0.01  # fraction of the items that a bandwagon attack takes for popular


@dataclass(frozen=True, eq=False)
class Disturbed:
    """A data set with more training interactions, and maybe more users, behind the others.

    Args:
        dataset: the data set.
        target: index of the item that is pushed; None if none is.
    """

    dataset: Dataset
    target: int | None = None


class TrainingDisturbance(Disturbance):
    """A kind that adds interactions to the training split; the model is trained again on them.

    Validation and test interactions stay. The comparison is paired: it is with the run itself, which is what the same
    settings and the same seed give without the disturbance. Since other interactions make other batches, and more users
    another initial draw, the difference still holds what another course of training changes by chance.
    """

    LEVELS: ClassVar[tuple[float, ...]] = LEVELS
    RETRAINS: ClassVar[bool] = True

    def reason(self, subject: Subject) -> str:
        """Say that there is nothing to train again."""
        if subject.run is None:
            return "only vectors are known, not how they were trained"
        if subject.run.result.get("init_from"):
            return "it began with the parameters of an earlier run, from which it is not trained again"
        return "" if isinstance(subject.run.model, Model) else "the model is not trained"

    def outcome(self, subject: Subject, level: float, seed: int, draw: int) -> Outcome:
        """Return metrics of a run that was trained on the disturbed interactions, and how often a target is hit."""
        assert subject.experiment is not None
        changed = self.disturbed(subject.dataset, level, seeding.generator(seed, f"{self.NAME} {level:g}", draw))
        trained = run_experiment(subject.experiment, changed.dataset, log_warnings=False)
        metrics = scores_of(scoring_of(trained), trained.dataset, evaluation_of(trained), subject.split)
        return Outcome(metrics, None if changed.target is None else _target_hits(subject, trained, changed.target))

    @abstractmethod
    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Disturbed:
        """Return the disturbed data set."""


def _target_hits(subject: Subject, trained: Run, target: int) -> TargetHits:
    before, after = (
        target_hit_rates(
            scoring,
            data.interactions,
            subject.evaluation,
            subject.split,
            target=target,
            n_users=subject.dataset.n_users,
        )
        for scoring, data in ((subject.scoring, subject.dataset), (scoring_of(trained), trained.dataset))
    )
    return TargetHits(subject.dataset.items[target], before, after)


class FalseInteractions(TrainingDisturbance):
    """Training interactions that never happened, drawn uniformly from what no user has in any split."""

    NAME: ClassVar[str] = "false-interactions"
    ABOUT: ClassVar[str] = "false training interactions, by their number relative to the true ones; trained again"

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Disturbed:
        """Return the data set with false interactions; there cannot be more than free cells."""
        old = dataset.interactions
        wanted = round(level * old.count("train"))
        taken = np.unique(old.flat_indices(old.users, old.items))
        n_free = old.n_users * old.n_items - len(taken)
        ranks = _distinct(n_free, min(wanted, n_free), stream)
        # The r-th free cell lies behind as many taken cells as have at most r free cells before them.
        cells = ranks + np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")
        changed = _with_training(old, cells // old.n_items, cells % old.n_items, old.n_users)
        return Disturbed(dataset.with_interactions(changed))


class _Shilling(TrainingDisturbance):
    """Fake users who push one item, with profiles of the median length of training.

    The target is drawn from the items with the fewest training interactions. The attacks are defined for ratings: by
    Lam & Riedl, WWW 2004 (https://doi.org/10.1145/988672.988726), and with the bandwagon attack among them by Mobasher,
    Burke, Bhaumik & Williams, ACM TOIT 7(4), 2007 (https://doi.org/10.1145/1278366.1278372).

    Deviations: an interaction stands in the place of a rating, so that profiles differ in their items alone.
    """

    def disturbed(self, dataset: Dataset, level: float, stream: Generator) -> Disturbed:
        """Return the data set with fake users, and the item that they push."""
        old = dataset.interactions
        counts = old.item_counts("train")
        rare = np.flatnonzero(counts == counts.min())
        target = int(rare[int(torch.randint(len(rare), (1,), generator=stream))])
        lengths = np.bincount(old.indices("train")[0], minlength=old.n_users)
        length = min(max(2, int(np.median(lengths[lengths > 0]))), old.n_items)
        n_fake = round(level * old.n_users)
        profiles = [[target, *self.filler(counts, target, length - 1, stream).tolist()] for _ in range(n_fake)]
        users = np.repeat(old.n_users + np.arange(n_fake), length)
        items = np.array(profiles, dtype=np.int64).reshape(-1)
        ids = Vocabulary("user", [*dataset.users, *_fake_ids(dataset, n_fake)])
        interactions = _with_training(old, users, items, old.n_users + n_fake)
        groups = None if dataset.groups is None else replace(dataset.groups, n_users=old.n_users + n_fake)
        return Disturbed(replace(dataset, interactions=interactions, users=ids, log=None, groups=groups), target)

    @abstractmethod
    def filler(self, counts: ndarray, target: int, length: int, stream: Generator) -> Int64[ndarray, "length"]:
        """Return the other items of a profile.

        Args:
            counts: number of training interactions of each item.
            target: item that is pushed.
            length: number of items.
            stream: source of all randomness.
        """


class RandomShilling(_Shilling):
    """Profiles of the target and of items drawn uniformly."""

    NAME: ClassVar[str] = "random-shilling"
    ABOUT: ClassVar[str] = "fake users with one target and random items, relative to the number of users; trained again"

    def filler(self, counts: ndarray, target: int, length: int, stream: Generator) -> Int64[ndarray, "length"]:
        """Return random items."""
        return _drawn(np.setdiff1d(np.arange(len(counts)), [target]), length, stream)


class BandwagonShilling(_Shilling):
    """Profiles of the target, one half of the rest from the most popular items, the other half drawn uniformly."""

    NAME: ClassVar[str] = "bandwagon-shilling"
    ABOUT: ClassVar[str] = "fake users with one target, popular and random items, relative to the users; trained again"

    def filler(self, counts: ndarray, target: int, length: int, stream: Generator) -> Int64[ndarray, "length"]:
        """Return popular and random items."""
        by_count = np.argsort(-counts, kind="stable")
        n_popular = max(round(POPULAR * len(counts)), -(-length // 2))
        popular = _drawn(by_count[by_count != target][:n_popular], -(-length // 2), stream)
        others = np.setdiff1d(np.arange(len(counts)), [target, *popular.tolist()])
        return np.concatenate([popular, _drawn(others, length - len(popular), stream)])


def _drawn(items: ndarray, count: int, stream: Generator) -> Int64[ndarray, "count"]:
    """Return distinct items in random order."""
    chosen: ndarray = items[torch.randperm(len(items), generator=stream)[:count].numpy()]
    return chosen.astype(np.int64)


def _distinct(bound: int, count: int, stream: Generator) -> Int64[ndarray, "count"]:
    """Return distinct numbers below a bound, in increasing order, without holding all of them where few are wanted."""
    if 2 * count >= bound:
        return np.sort(torch.randperm(bound, generator=stream)[:count].numpy())
    found = np.zeros(0, dtype=np.int64)
    while len(found) < count:
        more = torch.randint(bound, (count,), generator=stream).numpy()
        both = np.concatenate([found, more])
        _, first = np.unique(both, return_index=True)
        found = both[np.sort(first)][:count]  # in the order in which they were drawn: the first are no smaller ones
    return np.sort(found)


def _with_training(old: Interactions, users: ndarray, items: ndarray, n_users: int) -> Interactions:
    """Return the interactions with more of the training split, of median weight and date."""
    train = old.mask("train")
    weights = (
        None if old.weights is None else np.append(old.weights, np.full(len(users), np.median(old.weights[train])))
    )
    times = old.timestamps
    if times is not None:
        times = np.append(times, np.full(len(users), int(np.median(times[train]))))
    return replace(
        old,
        users=np.append(old.users, users.astype(np.int32)),
        items=np.append(old.items, items.astype(np.int32)),
        splits=np.append(old.splits, np.zeros(len(users), dtype=np.int8)),
        n_users=n_users,
        timestamps=times,
        weights=weights,
    )


def _fake_ids(dataset: Dataset, count: int) -> list[str]:
    """Return ids that no user has."""
    prefix = "fake user"
    while any(f"{prefix} {number}" in dataset.users for number in range(count)):
        prefix += "'"
    return [f"{prefix} {number}" for number in range(count)]
