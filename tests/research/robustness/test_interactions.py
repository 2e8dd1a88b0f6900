"""False training interactions and fake users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.api import run_experiment
from flatrec.config import Component, Evaluation, Experiment, Training
from flatrec.research.robustness import Subject, measure
from flatrec.research.robustness.interactions import BandwagonShilling, FalseInteractions, RandomShilling
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=3, users=8, items=6)  # 96 training interactions of 24 users, 4 each, 18 items


def stream():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("level", "n_false"), [(0.1, 10), (0.2, 19), (2.0, 192), (100.0, 288)])
def test_false_interactions_are_new_cells_of_training(level, n_false):
    changed = FalseInteractions().disturbed(DATA, level, stream()).dataset.interactions
    old = DATA.interactions
    assert len(changed) == len(old) + n_false
    before = set(zip(old.users.tolist(), old.items.tolist(), strict=True))
    added = list(zip(changed.users[len(old) :].tolist(), changed.items[len(old) :].tolist(), strict=True))
    assert len(set(added)) == n_false
    assert not before & set(added)
    assert not changed.splits[len(old) :].any()
    for split in ("valid", "test"):
        assert (changed.matrix(split) != old.matrix(split)).nnz == 0


def test_weights_and_dates_of_false_interactions_are_medians_of_training():
    old = DATA.interactions
    known = replace(old, weights=np.full(len(old), 2.0), timestamps=np.where(old.mask("train"), 50, 900))
    changed = FalseInteractions().disturbed(DATA.with_interactions(known), 0.1, stream()).dataset.interactions
    assert set(changed.weights[len(old) :].tolist()) == {2.0}
    assert set(changed.timestamps[len(old) :].tolist()) == {50}


@pytest.mark.parametrize("kind", [RandomShilling(), BandwagonShilling()])
def test_fake_users_have_the_target_and_profiles_of_median_length(kind):
    old = DATA.interactions
    disturbed = kind.disturbed(DATA, 0.2, stream())
    changed = disturbed.dataset
    matrix = changed.interactions.matrix("train").toarray()
    assert changed.n_users == len(set(changed.users)) == 24 + 5
    assert (matrix[:24] == old.matrix("train").toarray()).all()
    fake = matrix[24:]
    assert fake.sum(axis=1).tolist() == [4] * 5
    counts = old.item_counts("train")
    assert counts[disturbed.target] == counts.min()
    assert fake[:, disturbed.target].all()
    assert not changed.interactions.matrix("test")[24:].nnz


def test_a_bandwagon_takes_half_of_a_profile_from_popular_items():
    old = DATA.interactions
    extra = [(user, item) for user in range(24) for item in (0, 7) if not old.matrix("train")[user, item]]
    cells = {(user, item) for user, item in zip(old.users.tolist(), old.items.tolist(), strict=True)}
    more = np.array([pair for pair in extra if pair not in cells])
    popular = DATA.with_interactions(
        replace(
            old,
            users=np.append(old.users, more[:, 0]).astype(np.int32),
            items=np.append(old.items, more[:, 1]).astype(np.int32),
            splits=np.append(old.splits, np.zeros(len(more), dtype=np.int8)),
        )
    )
    fake = BandwagonShilling().disturbed(popular, 0.5, stream()).dataset.interactions.matrix("train").toarray()[24:]
    lengths = np.bincount(popular.interactions.indices("train")[0])
    half = -(-(int(np.median(lengths)) - 1) // 2)
    most = np.argsort(-popular.interactions.item_counts("train"), kind="stable")[:half]
    assert fake[:, most].all()


def test_level_0_trains_the_run_again_and_kinds_need_to_be_asked_for():
    experiment = Experiment(
        model=Component("lightgcn", {"embedding_dim": 4}),
        training=Training(epochs=2, loggers=(), monitor="recall@10"),
        evaluation=Evaluation(ks=(3, 10)),
    )
    run = run_experiment(experiment, DATA)
    subject = Subject.of_run(run, experiment, "lightgcn")
    for kind in (FalseInteractions(), RandomShilling(), BandwagonShilling()):
        outcome = kind.outcome(subject, 0.0, 1, 0)
        assert outcome.metrics == dict(run.result["test"])
        assert outcome.target is None or outcome.target.before == outcome.target.after
        assert (outcome.target is None) == isinstance(kind, FalseInteractions)
    card = measure(subject, draws=1)
    assert "--retrain" in card.left_out["false-interactions"]
    card = measure(subject, draws=2, retrain=True)
    counts = {(one.kind, one.level): len(one.draws) for one in card.levels}
    assert counts["bandwagon-shilling", 0.2] == 1
    assert counts["items", 0.2] == 2


def test_a_run_that_began_with_other_parameters_is_not_trained_again():
    experiment = Experiment(model=Component("bpr", {"embedding_dim": 4}), training=Training(epochs=1, loggers=()))
    run = run_experiment(experiment, DATA)
    warm = replace(run, result={**run.result, "init_from": {"run": "runs/first"}})
    assert RandomShilling().reason(Subject.of_run(run, experiment, "bpr")) == ""
    assert "began with the parameters" in RandomShilling().reason(Subject.of_run(warm, experiment, "bpr"))
