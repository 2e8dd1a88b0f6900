"""A run in a notebook and in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

import flatrec
from flatrec.inference.run import Run
from flatrec.testing import block_dataset
from tests.display.pages import HOSTILE, checked, rows, words

DATA = block_dataset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "one"


@pytest.fixture(scope="module")
def run(folder):
    training = flatrec.Training(epochs=4, batch_size=32)
    return flatrec.fit(DATA, "lightgcn", "bsam", training=training, model_settings={"embedding_dim": 4}, out=folder)


def test_settings_curves_and_scores_are_shown(run):
    tree = checked(run._repr_html_())
    said = {row[0]: row[1:] for row in rows(tree)}
    assert words(tree).startswith("Run lightgcn with bsam on ")
    assert said["model"][0].startswith("lightgcn (embedding_dim 4, ")
    assert said["optimizer"][0].startswith("adam (lr ")
    assert said["training"] == ["batch size 32, at most 4 epochs"]
    assert said["metric"] == [f"{split} @{k}" for split in ("validation", "test") for k in (5, 10, 20)]
    values = [run.result[split][f"recall@{k}"] for split in ("valid", "test") for k in (5, 10, 20)]
    assert said["recall"] == [f"{value:.4f}" for value in values]
    assert [node.get("aria-label") for node in tree.iter("svg")] == [
        "training loss over epochs 1 to 4",
        f"validation {run.result['monitor']} over epochs 1 to 4",
    ]


def test_a_run_that_is_loaded_looks_as_it_did(run, folder):
    again = flatrec.load_run(folder, DATA)
    assert [record.epoch for record in again.records] == [1, 2, 3, 4]
    assert again.records == list(run.records)
    assert again._repr_html_() == run._repr_html_()
    assert repr(again) == repr(run)


def test_a_run_is_one_line_in_a_terminal(run):
    result = run.result
    assert repr(run) == (
        f"Run lightgcn with bsam on {DATA.name}, seed 0, 4 epochs, best {result['best_epoch']}, "
        f"validation recall@5 {result['valid']['recall@5']:.4f}, test recall@5 {result['test']['recall@5']:.4f}"
    )


def test_a_recommender_is_one_line_too(run):
    sizes = f"{DATA.n_users} users, {DATA.n_items} items"
    assert repr(run.recommender) == f"Recommender lightgcn with bsam: {sizes}"
    assert repr(flatrec.fit(DATA, "item-knn").recommender) == f"Recommender item-knn: {sizes}"


def test_a_baseline_has_scores_and_no_curve():
    run = flatrec.fit(DATA, "item-knn")
    tree = checked(run._repr_html_())
    assert next(tree.iter("svg"), None) is None
    assert ["metric", *[f"{split} @{k}" for split in ("validation", "test") for k in (5, 10, 20)]] in rows(tree)
    assert repr(run).startswith(f"Run item-knn on {DATA.name}, seed 0, validation recall@5 ")


def test_a_run_without_a_result_says_what_it_is(run):
    bare = Run(DATA, run.model)
    assert words(checked(bare._repr_html_())).strip() == f"Run LightGCN on {DATA.name}"
    assert repr(bare) == f"Run LightGCN on {DATA.name}, without a result"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(run, hostile):
    settings = {"model": {"name": hostile, "options": {hostile: hostile}}, "training": {}}
    result = {
        "model": hostile, "strategy": hostile, "settings": settings, "warnings": [hostile] * 100, "epochs": 3,
        "best_epoch": 2, "monitor": hostile, "test": {hostile: 0.5, f"{hostile}@5": None}, "valid": {},
    }  # fmt: skip
    records = [replace(record, monitor=hostile, valid={hostile: 0.5}) for record in run.records]
    page = replace(run, dataset=replace(DATA, name=hostile), result=result, records=records)._repr_html_()
    checked(page)
    assert len(page) < 40_000
