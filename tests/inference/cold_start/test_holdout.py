"""What is held out is truly absent, and the rest is what it was."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from flatrec.config import Component, Experiment, Training
from flatrec.data.features import Features
from flatrec.data.interactions import SPLITS
from flatrec.inference.cold_start import hold_out_items, run_name, train_without_held_out
from flatrec.testing import block_dataset
from tests.inference.cold_start.conftest import data

EXPERIMENT = Experiment(
    model=Component("bpr", {"embedding_dim": 4}),
    strategy=Component("plain"),
    training=Training(epochs=2, loggers=()),
)


def named_interactions(dataset, split):
    users, items = dataset.interactions.indices(split)
    return {
        (dataset.users[user], dataset.items[item]) for user, item in zip(users.tolist(), items.tolist(), strict=True)
    }


def test_held_out_items_are_absent_and_all_others_are_what_they_were():
    titles = tuple(f"title {n}" for n in range(data().n_items))
    prices = pl.DataFrame({"price": range(data().n_items)})
    whole = replace(data(), titles=titles, item_columns=prices)
    held = hold_out_items(whole, 0.1, 3)
    cold = {split: {whole.items[number] for number in numbers.tolist()} for split, numbers in held.items.items()}
    assert {split: len(one) for split, one in cold.items()} == {"valid": 2, "test": 2}
    gone = cold["valid"] | cold["test"]
    assert len(gone) == 4
    assert list(held.remaining.items) == [one for one in whole.items if one not in gone]
    assert list(held.remaining.users) == list(whole.users)
    for split in SPLITS:
        expected = {(user, item) for user, item in named_interactions(whole, split) if item not in gone}
        assert named_interactions(held.remaining, split) == expected
    for name, one in held.remaining.features.items():
        for number, item in enumerate(held.remaining.items):
            np.testing.assert_array_equal(one.values[number], whole.features[name].values[whole.items.index_of(item)])
    assert held.remaining.item_columns["price"].to_list() == [
        whole.items.index_of(item) for item in held.remaining.items
    ]
    assert [held.remaining.titles[n] for n in range(3)] == [
        titles[whole.items.index_of(held.remaining.items[n])] for n in range(3)
    ]


def test_nothing_of_the_held_out_features_reaches_what_is_trained_on():
    held = hold_out_items(data(), 0.1, 3)
    gone = np.concatenate(list(held.items.values()))
    features = {}
    for name, one in data().features.items():
        values = one.values.copy()
        values[gone] = 1e6
        features[name] = Features(values, one.present)
    assert hold_out_items(data().with_features(features), 0.1, 3).remaining.fingerprint == held.remaining.fingerprint


def test_the_draw_depends_on_the_seed_alone():
    drawn = [hold_out_items(data(), 0.2, seed).items for seed in (0, 0, 1)]
    assert drawn[0]["test"].tolist() == drawn[1]["test"].tolist()
    assert drawn[0]["test"].tolist() != drawn[2]["test"].tolist()
    assert len(drawn[0]["test"]) == len(drawn[0]["valid"]) == 5


def test_only_items_with_interactions_are_drawn():
    whole = block_dataset(blocks=1, users=4, items=12)
    pairs = whole.interactions
    kept = pairs.items < 6
    few = replace(pairs, users=pairs.users[kept], items=pairs.items[kept], splits=0 * pairs.splits[kept])
    for seed in range(10):
        drawn = hold_out_items(replace(whole, interactions=few), 0.3, seed).items
        assert sum(map(len, drawn.values())) == 4
        assert max(map(max, drawn.values())) < 6


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        (0.0, "fraction must lie between 0 and 0.5"),
        (0.5, "fraction must lie between 0 and 0.5"),
        (float("nan"), "fraction must lie between 0 and 0.5"),
        (0.01, "less than one item"),
    ],
)
def test_a_bad_fraction_is_refused(fraction, message):
    with pytest.raises(ValueError, match=message):
        hold_out_items(data(), fraction)


def test_a_fraction_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves no training interaction"):
        hold_out_items(block_dataset(blocks=1, users=1, items=4), 0.49)


def test_the_run_is_one_without_the_held_out_items_and_is_not_made_twice(tmp_path):
    held = hold_out_items(data(), 0.1, 3)
    run = train_without_held_out(EXPERIMENT, held, tmp_path / run_name(held.fraction, held.seed))
    assert run.model.sizes == (data().n_users, data().n_items - 4)
    recorded = json.loads((tmp_path / run_name(held.fraction, held.seed) / "data.json").read_text())
    assert recorded["fingerprint"] == held.remaining.fingerprint
    before = {
        path.name: path.stat().st_mtime_ns
        for path in (tmp_path / run_name(held.fraction, held.seed)).iterdir()
        if path.name != ".lock"
    }
    again = train_without_held_out(EXPERIMENT, held, tmp_path / run_name(held.fraction, held.seed))
    assert again.result == run.result
    after = {
        path.name: path.stat().st_mtime_ns
        for path in (tmp_path / run_name(held.fraction, held.seed)).iterdir()
        if path.name != ".lock"
    }
    assert after == before


def test_what_is_monitored_instead_is_said_once_and_only_where_something_is_trained(tmp_path, caplog):
    held = hold_out_items(block_dataset(blocks=3, users=8, items=6), 0.1, 0)
    for _ in range(2):
        run = train_without_held_out(EXPERIMENT, held, tmp_path / run_name(held.fraction, held.seed))
        assert run.result["monitor"] == "recall@5"
    assert caplog.text.count("recall@5 is monitored instead") == 1


def test_other_settings_in_the_folder_are_refused(tmp_path):
    held = hold_out_items(data(), 0.1, 3)
    train_without_held_out(EXPERIMENT, held, tmp_path / run_name(held.fraction, held.seed))
    with pytest.raises(ValueError, match="cold-fraction0.1-seed3 was trained with other settings .*; remove it"):
        train_without_held_out(EXPERIMENT.replace(seed=1), held, tmp_path / run_name(held.fraction, held.seed))
