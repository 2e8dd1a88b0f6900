"""Every metric against a second implementation, which goes through users and ranks one by one, on scores with ties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.evaluation import evaluate_scorer
from flatrec.evaluation.metrics import METRICS

N_USERS, N_ITEMS, KS = 17, 13, (1, 2, 5, 13, 20)
SPLITS = {"train": 0, "valid": 1, "test": 2}


class Case:
    """Random data and scores: few different scores, a user without training, items without a modality."""

    def __init__(self, seed):
        stream = np.random.default_rng(seed)
        popularity = stream.dirichlet(np.ones(N_ITEMS)) * N_ITEMS / 3
        draws = stream.random((N_USERS, N_ITEMS))
        self.splits = np.where(draws < popularity * 0.6, 0, np.where(draws < popularity * 0.6 + 0.3, 2, 1))
        self.splits[stream.random((N_USERS, N_ITEMS)) < 0.25] = 3  # no interaction
        self.splits[0] = np.where(self.splits[0] == 0, 3, self.splits[0])
        self.splits[0, 0] = self.splits[1, 1] = 2
        self.splits[1, 0] = 0
        self.scores = stream.integers(-2, 3, size=(N_USERS, N_ITEMS)).astype(np.float32)
        self.scores[2, 1:] = -np.inf  # a list of at most one item
        self.features = {}
        for name, width in (("image", 3), ("text", 5)):
            present = stream.random(N_ITEMS) < 0.8
            values = stream.integers(-2, 3, size=(N_ITEMS, width)).astype(np.float32)
            self.features[name] = Features(values, present)
        users, items = np.nonzero(self.splits < 3)
        self.interactions = Interactions(users, items, self.splits[users, items], N_USERS, N_ITEMS)

    def items(self, user, split):
        return [item for item in range(N_ITEMS) if self.splits[user, item] == SPLITS[split]]

    def top(self, user, k):
        items = [item for item in range(N_ITEMS) if self.splits[user, item] != 0 and self.scores[user, item] > -np.inf]
        return sorted(items, key=lambda item: (-self.scores[user, item], item))[:k]

    def count(self, item):
        return sum(self.splits[user, item] == 0 for user in range(N_USERS))

    def activity(self, user):
        return len(self.items(user, "train"))


def smallest_reached(values, fraction):
    """The smallest of the values that at least this fraction of them does not exceed."""
    return min(one for one in values if sum(other <= one for other in values) >= fraction * len(values) - 1e-9)


def of_interaction(name, case, user, item, k):
    """A sampled metric of one interaction: there are so few items that all that the user lacks are drawn."""
    unseen = [other for other in range(N_ITEMS) if case.splits[user, other] == 3 or other == item]
    listed = [other for other in unseen if case.scores[user, other] > -np.inf]
    top = sorted(listed, key=lambda other: (-case.scores[user, other], other))[:k]
    if item not in top:
        return 0.0
    return 1.0 if name == "sampled_hit_rate" else 1 / math.log2(top.index(item) + 2)


def of_user(name, case, user, k):
    """One metric of one user; None where it is not defined."""
    if name.startswith("sampled_"):
        values = [of_interaction(name, case, user, item, k) for item in case.items(user, "test")]
        return sum(values) / len(values)
    top, relevant = case.top(user, k), case.items(user, "test")
    hits = [rank for rank, item in enumerate(top, start=1) if item in relevant]
    if name in ("recall", "recall_low_activity", "recall_mid_activity", "recall_high_activity"):
        return len(hits) / len(relevant)
    if name == "precision":
        return len(hits) / k
    if name == "hit_rate":
        return 1.0 if hits else 0.0
    if name == "mrr":
        return 1 / hits[0] if hits else 0.0
    best = min(k, len(relevant))
    if name == "ndcg":
        return sum(1 / math.log2(r + 1) for r in hits) / sum(1 / math.log2(r + 1) for r in range(1, best + 1))
    if name == "map":
        return sum((found + 1) / rank for found, rank in enumerate(hits)) / best
    if name == "novelty":
        trained = sum(case.activity(other) > 0 for other in range(N_USERS))
        bits = [-math.log2(max(1, case.count(item)) / trained) for item in top]
        return sum(bits) / len(bits) if bits else None
    if name == "tail_recall":
        bound = smallest_reached([case.count(item) for item in range(N_ITEMS)], 0.8)
        tail = [item for item in relevant if case.count(item) <= bound]
        return len([item for item in tail if item in top]) / len(tail) if tail else None
    assert name == "intra_list_diversity"
    means = [mean for features in case.features.values() if (mean := mean_distance(features, top)) is not None]
    return sum(means) / len(means) if means else None


def mean_distance(features, top):
    usable = [item for item in top if features.present[item] and any(features.values[item])]
    distances = []
    for position, one in enumerate(usable):
        for other in usable[position + 1 :]:
            a, b = features.values[one].astype(float), features.values[other].astype(float)
            distances.append(1 - sum(a * b) / math.sqrt(sum(a * a) * sum(b * b)))
    return sum(distances) / len(distances) if distances else None


def of_all(name, case, users, k):
    """One metric of all lists together."""
    times = [sum(item in case.top(user, k) for user in users) for item in range(N_ITEMS)]
    if name == "item_coverage":
        return sum(time > 0 for time in times) / N_ITEMS
    if name == "avg_popularity":
        return sum(time * case.count(item) for item, time in enumerate(times)) / sum(times)
    assert name == "gini"  # the mean difference of two items, over twice the mean
    differences = sum(abs(one - other) for one in times for other in times)
    return differences / (2 * N_ITEMS * sum(times))


def in_group(name, case, user):
    if not name.endswith("_activity"):
        return True
    trained = [case.activity(other) for other in range(N_USERS) if case.activity(other)]
    low, mid = smallest_reached(trained, 1 / 3), smallest_reached(trained, 2 / 3)
    activity = case.activity(user)
    group = "low" if activity <= low else "mid" if activity <= mid else "high"
    return name == f"recall_{group}_activity"


def expected(name, case, k, *, excluded):
    """The mean, or None where it is not defined, and for how many users it is not."""
    users = [user for user in range(N_USERS) if case.items(user, "test") and (case.activity(user) or not excluded)]
    if name in ("item_coverage", "avg_popularity", "gini"):
        return of_all(name, case, users, k), 0
    values = [of_user(name, case, user, k) if in_group(name, case, user) else None for user in users]
    defined = [value for value in values if value is not None]
    return (sum(defined) / len(defined) if defined else None), len(values) - len(defined)


@pytest.mark.parametrize("seed", range(30))
def test_every_metric_equals_a_second_implementation_on_scores_with_ties(seed):
    case, excluded = Case(seed), seed % 2 == 1
    result = evaluate_scorer(
        lambda users: torch.from_numpy(case.scores)[users],
        case.interactions,
        split="test",
        ks=KS,
        metrics=list(METRICS),
        unknown_users="exclude" if excluded else "include",
        features=case.features,
    )
    for name in METRICS:
        for k in KS:
            value, undefined = expected(name, case, k, excluded=excluded)
            found = result.metrics.get(f"{name}@{k}")
            error = 1e-6 if name == "intra_list_diversity" else 1e-12  # in float32
            assert found == (None if value is None else pytest.approx(value, rel=1e-9, abs=error)), (name, k)
            assert result.n_undefined.get(f"{name}@{k}", 0) == undefined, (name, k)


def test_the_cases_have_ties_short_lists_and_users_and_items_without_training():
    cases = [Case(seed) for seed in range(30)]
    assert all(len(set(case.scores[user])) < N_ITEMS for case in cases for user in range(N_USERS))
    assert all(not case.activity(0) and len(case.top(2, 20)) <= 1 for case in cases)
    assert any(not case.count(item) for case in cases for item in range(N_ITEMS))
    assert any(expected("tail_recall", case, 5, excluded=False)[1] for case in cases)
