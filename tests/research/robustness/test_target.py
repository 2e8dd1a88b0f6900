"""How often a pushed item is recommended: by hand, by brute force, and as a card shows it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.api import run_experiment
from flatrec.config import Component, Evaluation, Experiment, Training
from flatrec.data.interactions import Interactions
from flatrec.inference.run import user_item_embeddings
from flatrec.models.scoring import Vectors
from flatrec.research.robustness import RobustnessCard, Subject
from flatrec.research.robustness.card import Level
from flatrec.research.robustness.interactions import BandwagonShilling, RandomShilling
from flatrec.research.robustness.page import drops_table, findings, targets_table
from flatrec.research.robustness.target import TargetHits, target_hit_rates
from flatrec.testing import block_dataset
from flatrec.utils import seeding

TARGET = 3
# Users 0 to 3 are true: user 0 has the target, user 3 has it in validation; user 4 is fake.
USERS, ITEMS, SPLITS = [0, 1, 2, 3, 3, 4], [3, 0, 1, 0, 3, 3], [0, 0, 0, 0, 1, 0]
SCORES = [
    [1.0, 2.0, 9.0, 8.0],  # second of all
    [9.0, 2.0, 1.0, 5.0],  # second of all, first without item 0
    [4.0, 9.0, 1.0, 3.0],  # third of all, second without item 1
    [9.0, 3.0, 2.0, 1.0],  # last of all, third without item 0
    [0.0, 0.0, 0.0, 9.0],
]


@pytest.mark.parametrize(
    ("mask", "split", "expected"),
    [
        ("train", "test", [1 / 3, 2 / 3, 1.0]),  # users 1, 2 and 3
        ("train+valid", "valid", [1 / 3, 2 / 3, 1.0]),
        ("train+valid", "test", [1 / 2, 1.0, 1.0]),  # users 1 and 2
        ("none", "test", [0.0, 2 / 4, 3 / 4]),  # all four
    ],
)
def test_hit_rates_are_those_by_hand(mask, split, expected):
    interactions = Interactions(*map(np.array, (USERS, ITEMS, SPLITS)), 5, 4)
    scoring = Vectors(torch.eye(5), torch.tensor(SCORES).T.contiguous())
    evaluation = Evaluation(ks=(1, 2, 3), mask=mask)
    found = target_hit_rates(scoring, interactions, evaluation, split, target=TARGET, n_users=4)
    assert found == pytest.approx(
        dict(zip(("hit_rate@1", "hit_rate@2", "hit_rate@3"), expected, strict=True)), abs=1e-10
    )


def test_where_everybody_has_the_item_there_is_no_rate():
    interactions = Interactions(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), 2, 2)
    scoring = Vectors(torch.eye(2), torch.eye(2))
    assert target_hit_rates(scoring, interactions, Evaluation(), "test", target=0, n_users=2) == {}


DATA = block_dataset(blocks=3, users=8, items=6)
EXPERIMENT = Experiment(
    model=Component("lightgcn", {"embedding_dim": 8}),
    strategy=Component("plain"),
    optimizer=Component("adam", {"lr": 0.1}),
    training=Training(epochs=8, batch_size=64, select="last", loggers=()),
    evaluation=Evaluation(ks=(3, 5)),
    seed=2,
)


def brute_force(run, target, k):
    """The fraction of the 24 true users without the target in training who have it among the first k of a full sort."""
    users, items = (rows.double().numpy() for rows in user_item_embeddings(run.model))
    train = run.dataset.interactions.matrix("train").toarray() > 0
    hits = []
    for user in range(24):
        if not train[user, target]:
            scores = np.where(train[user], -np.inf, users[user] @ items.T)
            hits.append(target in np.argsort(-scores)[:k])
    return np.mean(hits)


@pytest.mark.parametrize("kind", [RandomShilling(), BandwagonShilling()])
def test_before_is_of_the_run_and_after_of_the_same_settings_and_seed_under_attack(kind):
    run = run_experiment(EXPERIMENT, DATA)
    hits = kind.outcome(Subject.of_run(run, EXPERIMENT, "lightgcn"), 2.0, 7, 0).target
    disturbed = kind.disturbed(DATA, 2.0, seeding.generator(7, f"{kind.NAME} 2", 0))
    attacked = run_experiment(EXPERIMENT, disturbed.dataset)
    assert hits.item == DATA.items[disturbed.target]
    for k in (3, 5):
        assert hits.before[f"hit_rate@{k}"] == pytest.approx(brute_force(run, disturbed.target, k), abs=1e-10)
        assert hits.after[f"hit_rate@{k}"] == pytest.approx(brute_force(attacked, disturbed.target, k), abs=1e-10)
    assert hits.after["hit_rate@5"] > hits.before["hit_rate@5"]


@pytest.fixture
def card():
    targets = (
        TargetHits("mug", {"hit_rate@10": 0.0}, {"hit_rate@10": 0.5}),
        TargetHits("lamp", {"hit_rate@10": 0.02}, {"hit_rate@10": 0.75}),
    )
    metrics = {"recall@10": 0.25}
    levels = (Level("items", 0.1, (metrics,)), Level("random-shilling", 0.2, (metrics, metrics), targets))
    return RobustnessCard("mine", "blocks", "", "test", 0, {"recall@10": 0.5}, levels)


def test_a_card_shows_the_mean_over_draws(card):
    table = targets_table(card)
    assert [column.name for column in table.columns][3:] == ["hit_rate@10 before", "hit_rate@10 after"]
    assert table.rows == (("random-shilling", "20 %", "mug, lamp", pytest.approx(0.01), pytest.approx(0.625)),)
    expected = (
        "The item that random-shilling pushes at 20 % is among the first 10 of 1.0 % of the users without the attack, "
        "and of 62.5 % under it."
    )
    assert findings(card).count(expected) == 1
    assert len(drops_table(card).rows) == 3


def test_json_has_the_hits_of_each_draw_and_none_where_nothing_is_pushed(card):
    items, shilling = card.as_json()["levels"]
    assert "targets" not in items
    assert shilling["targets"][1] == {"item": "lamp", "before": {"hit_rate@10": 0.02}, "after": {"hit_rate@10": 0.75}}


def test_without_an_attack_there_is_no_table():
    card = RobustnessCard(
        "mine", "blocks", "", "test", 0, {"recall@10": 0.5}, (Level("items", 0.1, ({"recall@10": 0.2},)),)
    )
    assert targets_table(card) is None
