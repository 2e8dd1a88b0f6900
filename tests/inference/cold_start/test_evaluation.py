"""Held-out items: what counts as a hit, what is a candidate, and that models find what chance does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation import evaluate_scorer
from flatrec.inference.cold_start import Holdout, embed_new_items, evaluate_held_out, hold_out_items
from flatrec.inference.cold_start.evaluation import held_out_items
from flatrec.inference.run import Run
from flatrec.models import BASELINES
from flatrec.testing import block_dataset, fit
from tests.models.settings import make

WHOLE = block_dataset(blocks=3, users=6, items=20)


def trained(held, name="bpr", **settings):
    model = make(name, held.remaining)
    fit(model, held.remaining, epochs=20)
    return Run(held.remaining, model, (1, 3, 20), **settings)


@pytest.fixture(scope="module")
def held():
    return hold_out_items(WHOLE, 0.2, 1)


@pytest.fixture(scope="module")
def run(held):
    return trained(held)


def blocks_of(held, split):
    return np.bincount(held.items[split] // 20, minlength=3)


def test_all_interactions_with_held_out_items_count_and_blocks_are_found(held, run):
    for split in ("valid", "test"):
        found = evaluate_held_out(run, held, split=split)
        per_block = blocks_of(held, split)
        assert per_block.min() >= 1
        assert (found.n_items, found.n_users, found.n_interactions, found.n_items_without_features) == (
            12,
            18,
            12 * 6,
            0,
        )
        # A block's held-out items are first, so the first of the list is a hit, and recall follows.
        for one in (found.among_held_out.model, found.among_held_out.content):
            assert one["hit_rate@1"] == 1
            assert one["recall@1"] == pytest.approx((1 / per_block).mean())
        assert found.among_held_out.random["recall@3"] == pytest.approx(3 / 12)
        assert found.among_held_out.random["hit_rate@1"] == pytest.approx(per_block.mean() / 12)
        assert found.among_held_out.model["avg_popularity@1"] == 0


def test_among_all_items_what_was_trained_on_is_hidden_and_the_other_split_is_no_candidate(held, run):
    found = evaluate_held_out(run, held, split="test")
    assert held.remaining.n_items == 60 - 24
    # What is left of a block to a user without its training pairs: held-out pairs of warm items and held-out items.
    warm = held.remaining.interactions
    left = warm.n_items + 12 - np.bincount(warm.indices("train")[0], minlength=18)
    assert found.among_all.random["recall@3"] == pytest.approx((3 / left).mean())
    # Of the first 20, all of the own block's candidates come before those of other blocks.
    assert found.among_all.model["recall@20"] == 1
    assert found.among_all.content["recall@20"] == 1
    assert found.among_all.model["recall@20"] > 1.5 * found.among_all.random["recall@20"]


def test_the_mask_of_the_run_hides_validation_interactions_when_test_is_scored(held, run):
    masked = Run(held.remaining, run.model, run.ks, "train+valid")
    warm = held.remaining.interactions
    hidden = np.bincount(warm.users[warm.splits < 2], minlength=18)
    found = evaluate_held_out(masked, held, split="test")
    assert found.among_all.random["recall@1"] == pytest.approx((1 / (warm.n_items + 12 - hidden)).mean())
    valid = evaluate_held_out(masked, held, split="valid")
    assert valid.among_all.random == evaluate_held_out(run, held, split="valid").among_all.random


@pytest.fixture(scope="module")
def irregular():
    """Users with one to a dozen pairs each, some of them without any in a part."""
    stream = np.random.default_rng(3)
    pairs = [(user, item) for user in range(30) for item in stream.permutation(40)[: 1 + user % 12].tolist()]
    users, items = np.array(pairs).T
    parts = stream.choice(3, size=len(pairs), p=(0.6, 0.2, 0.2))
    features = {
        name: Features(stream.standard_normal((40, 5)).astype(np.float32), np.ones(40, dtype=bool))
        for name in ("image", "text")
    }
    ids = [Vocabulary(kind, [str(number) for number in range(size)]) for kind, size in (("user", 30), ("item", 40))]
    whole = Dataset("irregular", Interactions(users, items, parts, 30, 40), *ids, features)
    return hold_out_items(whole, 0.2, 5)


@pytest.mark.parametrize("mask", ["train", "train+valid"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_are_those_of_a_plain_loop(irregular, split, mask):
    model = make("bpr", irregular.remaining, seed=4).eval()
    run = Run(irregular.remaining, model, (1, 3), mask)
    found = evaluate_held_out(run, irregular, split=split)
    embeddings = embed_new_items(run, held_out_items(irregular, split))
    warm, numbers = irregular.remaining.interactions, irregular.items[split]
    whole = irregular.full.interactions
    hiding = (0, 1) if mask == "train+valid" and split == "test" else (0,)
    counts = np.bincount(warm.items[warm.splits == 0], minlength=warm.n_items + len(numbers))
    scores = {
        "among_held_out": (embeddings.users @ embeddings.new_items.T).numpy(),
        "among_all": (
            embeddings.users @ torch.cat([embeddings.known_items, found.scale * embeddings.new_items]).T
        ).numpy(),
    }
    assert found.scale > 1
    for name, table in scores.items():
        offset = warm.n_items if name == "among_all" else 0
        recalls, popular, chances, untrained = [], [], [], 0
        for user in range(30):
            wanted = {int(np.flatnonzero(numbers == item)[0]) + offset
                      for item in whole.items[whole.users == user] if item in numbers}  # fmt: skip
            if not wanted:
                continue
            untrained += not ((warm.users == user) & (warm.splits == 0)).any()
            bought = set(warm.items[(warm.users == user) & np.isin(warm.splits, hiding)].tolist()) if offset else set()
            order = [item for item in np.argsort(-table[user], kind="stable").tolist() if item not in bought][:3]
            recalls.append(len(wanted.intersection(order)) / len(wanted))
            popular.append(np.mean([counts[item] if offset else 0 for item in order]))
            chances.append(3 / (table.shape[1] - len(bought)))
        measured = getattr(found, name)
        assert measured.model["recall@3"] == pytest.approx(np.mean(recalls))
        assert measured.model["avg_popularity@3"] == pytest.approx(np.mean(popular))
        assert measured.random["recall@3"] == pytest.approx(np.mean(chances))
        assert (found.n_users, found.n_users_without_training) == (len(recalls), untrained)
    assert found.n_users < 30
    assert found.n_users_without_training > 0


def test_a_run_that_knows_the_held_out_items_is_refused(held):
    model = make("bpr", WHOLE)
    fit(model, WHOLE, epochs=1)
    with pytest.raises(ValueError, match="was not trained on holdout.remaining"):
        evaluate_held_out(Run(WHOLE, model), held)


def test_validation_interactions_must_be_left(irregular):
    pairs = irregular.full.interactions
    one = np.flatnonzero(pairs.splits == 1)[0]
    parts = np.where(np.arange(len(pairs)) == one, 1, np.where(pairs.splits == 1, 0, pairs.splits))
    whole = replace(irregular.full, interactions=replace(pairs, splits=parts))
    refused = 0
    for seed in range(20):
        try:
            held = hold_out_items(whole, 0.2, seed)
        except ValueError as error:
            assert "leaves no validation interaction" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert held.remaining.interactions.count("valid") == 1
    assert 0 < refused < 20


def test_an_item_without_features_is_counted_and_a_miss(held):
    number = int(held.items["test"][0])
    features = {}
    for name, one in WHOLE.features.items():
        present = one.present.copy()
        present[number] = False
        features[name] = Features(one.values, present)
    bare = hold_out_items(WHOLE.with_features(features), 0.2, 1)
    run = trained(bare)
    found = evaluate_held_out(run, bare, split="test")
    assert (found.n_items, found.n_items_without_features, found.n_interactions) == (12, 1, 72)
    per_block = blocks_of(bare, "test")
    # Six users of one block never find it, however long the list.
    expected = 1 - (1 / per_block[number // 20]) / 3
    for one in (
        found.among_held_out.model,
        found.among_held_out.content,
        found.among_all.model,
        found.among_all.content,
    ):
        assert one["recall@20"] == pytest.approx(expected)


def test_held_out_items_without_any_feature_are_refused(held, run):
    nothing = {name: Features(one.values, np.zeros(60, dtype=bool)) for name, one in WHOLE.features.items()}
    bare = Holdout(WHOLE.with_features(nothing), held.remaining, held.items, held.fraction, held.seed)
    with pytest.raises(ValueError, match="none of the 12 items held out for test has a feature"):
        evaluate_held_out(run, bare)


def test_the_method_features_is_scored_too(held):
    found = evaluate_held_out(trained(held, "vbpr"), held)
    assert found.method == "features"
    assert found.among_held_out.model["hit_rate@1"] == 1


def test_a_model_that_knows_nothing_is_no_better_than_chance(held):
    """The protocol itself gives nothing away: untrained vectors score about as chance has it."""
    scores = []
    for seed in range(8):
        model = make("bpr", held.remaining, seed=seed)
        with torch.no_grad():
            model.nodes.normal_(generator=torch.Generator().manual_seed(seed))
        found = evaluate_held_out(Run(held.remaining, model.eval(), (3,)), held)
        scores.append(found.among_held_out.model["recall@3"])
    assert np.mean(scores) == pytest.approx(found.among_held_out.random["recall@3"], abs=0.08)


def test_baselines_and_the_training_split_are_refused(held, run):
    with pytest.raises(ValueError, match="has no vectors of items"):
        evaluate_held_out(replace(run, model=BASELINES["item-knn"](held.remaining)), held)
    with pytest.raises(ValueError, match="no item is held out for training"):
        evaluate_held_out(run, held, split="train")


def test_the_evaluation_of_the_run_itself_is_that_of_the_remaining_interactions(held, run):
    found = run.evaluate("test")
    expected = evaluate_scorer(run.scorer(), held.remaining.interactions, split="test", ks=run.ks)
    assert found.metrics == expected.metrics


@pytest.mark.parametrize("users", ["groups", "persons"])
def test_only_scored_users_count(held, run, users):
    is_group = held.full.groups.is_group
    scored = np.flatnonzero(is_group if users == "groups" else ~is_group)
    found = evaluate_held_out(replace(run, users=users), held, split="test")
    assert (found.users, found.n_users, found.n_interactions) == (users, len(scored), 4 * len(scored))
    everybody = evaluate_held_out(run, held, split="test")
    assert everybody.users == "all"
    assert everybody.n_users == held.full.n_users


def test_items_that_no_scored_user_has_are_refused_before_training(held, run):
    interactions, indices = held.full.interactions, held.items["test"]
    mask = held.full.groups.is_group[interactions.users] & np.isin(interactions.items, indices)
    without = replace(held, full=held.full.with_interactions(interactions.take(~mask)))
    with pytest.raises(ValueError, match=r"none of the 12 items held out for test .* one of the groups that"):
        evaluate_held_out(replace(run, users="groups"), without, split="test")
