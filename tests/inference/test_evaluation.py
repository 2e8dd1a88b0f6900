"""Recommenders scored on data that have changed since: worked by hand, and against the run on the same data."""

from __future__ import annotations

import pytest
import torch

import flatrec
from flatrec.config import Training
from flatrec.inference.evaluation import evaluate_recommender
from flatrec.inference.fold_in import folded_in
from flatrec.inference.matching import renumbered
from flatrec.testing import block_dataset
from flatrec.testing.datasets import permuted
from tests.inference.shops import AFTER, BEFORE, dataset, recommender


def test_the_scores_are_those_worked_by_hand():
    # ann was trained on: of pan 0, mug 0.2 and bowl (not known; cup is masked) she gets mug and pan. Of mug and bowl
    # one is found: 1/2. cat has no training interaction in the recommender, so that pan, which the mask hides, is her
    # history: her vector points to pan, mug is nearer to it than cup: 0 of 1 at 1. dan is not known, with cup as his
    # history; pan is farther from it than mug: 0 of 1 at 1.
    result = evaluate_recommender(recommender(), AFTER, "test", ks=(1, 2))
    assert dict(zip(result.users.tolist(), result.per_user["recall@1"].tolist(), strict=True)) == {0: 0, 1: 0, 2: 0.5}
    assert dict(zip(result.users.tolist(), result.per_user["recall@2"].tolist(), strict=True)) == {0: 1, 1: 1, 2: 0.5}
    assert result.metrics["recall@1"] == pytest.approx(1 / 6)


def test_an_item_that_is_not_known_is_never_listed_and_counts_as_missed():
    result = evaluate_recommender(recommender(), AFTER, "test", ks=(4,))
    assert result.per_user["recall@4"].tolist() == [1, 1, 0.5]


def test_nothing_known_of_a_user_gives_the_most_popular_items():
    now = dataset(["eve"], ["pan", "jug", "cup", "mug"], [("eve", "jug", 2)])
    # Training counts are cup 1, jug 1, mug 1 and pan 0, and equal scores rank by the index in the data set as it is.
    result = evaluate_recommender(recommender(), now, "test", ks=(1,))
    assert result.metrics["recall@1"] == 1
    now = dataset(["eve"], ["pan", "cup", "jug", "mug"], [("eve", "jug", 2)])
    assert evaluate_recommender(recommender(), now, "test", ks=(1,)).metrics["recall@1"] == 0


@pytest.mark.parametrize("model", ["bpr", "item-knn", "popularity"])
@pytest.mark.parametrize("mask", ["train", "train+valid", "none"])
def test_on_the_same_data_it_scores_what_the_run_scores_whatever_the_order_of_ids(model, mask):
    data = block_dataset()
    run = flatrec.fit(
        data,
        model,
        "plain",
        training=Training(epochs=2, select="last"),
        evaluation=flatrec.Evaluation(ks=(3, 9), mask=mask),
    )
    options = {"ks": run.ks, "mask": mask, "metrics": run.metrics}
    assert evaluate_recommender(run.recommender, data, "test", **options).metrics == run.evaluate("test").metrics
    users, items = torch.randperm(data.n_users).numpy(), torch.randperm(data.n_items).numpy()
    if model == "bpr":  # the others have equal scores, which rank by index
        found = evaluate_recommender(run.recommender, permuted(data, users, items), "test", **options).metrics
        assert found == pytest.approx(run.evaluate("test").metrics)


def test_matching_by_id_leaves_out_what_is_not_known():
    found = renumbered(
        AFTER.interactions.matrix("test"),
        users=torch.tensor([-1, 2, 0]).numpy(),
        items=torch.tensor([3, -1, 2, 0]).numpy(),
        shape=(3, 4),
    )
    assert found.toarray().tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]  # ann: mug; cat: cup


def test_the_vector_of_a_history_is_that_of_fold_in():
    one = recommender()
    history = renumbered(
        AFTER.interactions.matrix("train"),
        torch.tensor([0, -1, -1]).numpy(),
        torch.tensor([3, -1, 2, 0]).numpy(),
        (1, 4),
    )
    scores = folded_in(one.scoring, history, one.catalog.popularity).scores(torch.tensor([0]))[0]
    assert scores.argsort(descending=True).tolist() == [0, 1, 2, 3]
    assert BEFORE.items[0] == "cup"
