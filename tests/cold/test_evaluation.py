"""Held-out items: what counts as a hit, what is a candidate, and that models find what chance does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.cold import evaluate_cold, hold_out
from flatrec.cold.holdout import Holdout
from flatrec.data.features import Features
from flatrec.evaluation import evaluate_scorer
from flatrec.models import YARDSTICKS
from flatrec.run import Run
from flatrec.testing import block_dataset, fit
from tests.cold.conftest import options
from tests.models.settings import make

WHOLE = block_dataset(blocks=3, users=6, items=20)


def trained(held, name="bpr", **settings):
    model = make(name, held.warm)
    fit(model, held.warm, epochs=20)
    return Run(held.warm, model, (1, 3, 20), **settings)


@pytest.fixture(scope="module")
def held():
    return hold_out(WHOLE, 0.2, 1)


@pytest.fixture(scope="module")
def run(held):
    return trained(held)


def blocks_of(held, part):
    return np.bincount(held.cold[part] // 20, minlength=3)


def test_all_pairs_of_cold_items_count_and_blocks_are_found(held, run):
    for part in ("valid", "test"):
        found = evaluate_cold(run, options("bpr"), held, part=part)
        per_block = blocks_of(held, part)
        assert per_block.min() >= 1
        assert (found.items, found.users, found.pairs, found.featureless) == (12, 18, 12 * 6, 0)
        # A block's cold items are first, so the first of the list is a hit, and recall follows.
        for one in (found.among_cold.model, found.among_cold.content):
            assert one["hit@1"] == 1
            assert one["recall@1"] == pytest.approx((1 / per_block).mean())
        assert found.among_cold.random["recall@3"] == pytest.approx(3 / 12)
        assert found.among_cold.random["hit@1"] == pytest.approx(per_block.mean() / 12)
        assert found.among_cold.model["popularity@1"] == 0


def test_among_all_items_what_was_trained_on_is_hidden_and_the_other_part_is_no_candidate(held, run):
    found = evaluate_cold(run, options("bpr"), held, part="test")
    assert held.warm.n_items == 60 - 24
    # What is left of a block to a user without its training pairs: held-out pairs of warm items and cold items.
    warm = held.warm.interactions
    left = warm.n_items + 12 - np.bincount(warm.pairs("train")[0], minlength=18)
    assert found.among_all.random["recall@3"] == pytest.approx((3 / left).mean())
    # Of the first 20, all of the own block's candidates come before those of other blocks.
    assert found.among_all.model["recall@20"] == 1
    assert found.among_all.content["recall@20"] == 1
    assert found.among_all.model["recall@20"] > 1.5 * found.among_all.random["recall@20"]


def test_the_mask_of_the_run_hides_validation_pairs_when_test_is_scored(held, run):
    masked = Run(held.warm, run.recommender, run.at, "train+valid")
    warm = held.warm.interactions
    hidden = np.bincount(warm.users[warm.parts < 2], minlength=18)
    found = evaluate_cold(masked, options("bpr"), held, part="test")
    assert found.among_all.random["recall@1"] == pytest.approx((1 / (warm.n_items + 12 - hidden)).mean())
    valid = evaluate_cold(masked, options("bpr"), held, part="valid")
    assert valid.among_all.random == evaluate_cold(run, options("bpr"), held, part="valid").among_all.random


def test_an_item_without_features_is_counted_and_a_miss(held):
    number = int(held.cold["test"][0])
    features = {}
    for name, one in WHOLE.features.items():
        present = one.present.copy()
        present[number] = False
        features[name] = Features(one.values, present)
    bare = hold_out(WHOLE.with_features(features), 0.2, 1)
    run = trained(bare)
    found = evaluate_cold(run, options("bpr"), bare, part="test")
    assert (found.items, found.featureless, found.pairs) == (12, 1, 72)
    per_block = blocks_of(bare, "test")
    # Six users of one block never find it, however long the list.
    expected = 1 - (1 / per_block[number // 20]) / 3
    for one in (found.among_cold.model, found.among_cold.content, found.among_all.model, found.among_all.content):
        assert one["recall@20"] == pytest.approx(expected)


def test_cold_items_without_any_feature_are_refused(held, run):
    nothing = {name: Features(one.values, np.zeros(60, dtype=bool)) for name, one in WHOLE.features.items()}
    bare = Holdout(WHOLE.with_features(nothing), held.warm, held.cold, held.share, held.seed)
    with pytest.raises(ValueError, match="none of the 12 items held out for test has a feature"):
        evaluate_cold(run, options("bpr"), bare)


def test_the_way_of_features_is_scored_too(held):
    found = evaluate_cold(trained(held, "vbpr"), options("vbpr"), held)
    assert found.way == "features"
    assert found.among_cold.model["hit@1"] == 1


def test_a_model_that_knows_nothing_is_no_better_than_chance(held):
    """The protocol itself gives nothing away: untrained vectors score about as chance has it."""
    scores = []
    for seed in range(8):
        model = make("bpr", held.warm, seed=seed)
        with torch.no_grad():
            model.nodes.normal_(generator=torch.Generator().manual_seed(seed))
        found = evaluate_cold(Run(held.warm, model.eval(), (3,)), options("bpr"), held)
        scores.append(found.among_cold.model["recall@3"])
    assert np.mean(scores) == pytest.approx(found.among_cold.random["recall@3"], abs=0.08)


def test_yardsticks_and_the_training_part_are_refused(held, run):
    with pytest.raises(ValueError, match="knows items by their pairs alone"):
        evaluate_cold(replace(run, recommender=YARDSTICKS["item-knn"](held.warm)), {}, held)
    with pytest.raises(ValueError, match="no item is held out for training"):
        evaluate_cold(run, {}, held, part="train")


def test_the_usual_evaluation_of_the_warm_run_is_that_of_its_remaining_pairs(held, run):
    found = run.evaluate("test")
    expected = evaluate_scorer(run.scorer(), held.warm.interactions, part="test", at=run.at)
    assert found.metrics == expected.metrics
