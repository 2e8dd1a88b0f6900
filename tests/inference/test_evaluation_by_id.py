"""Scores of a recommender on data that it was not trained on, against its own lists one user at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import flatrec
from flatrec.config import Evaluation, SplitSettings, Training
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.evaluation import count_seen, evaluate_recommender
from flatrec.testing import block_dataset
from tests.dated import dated_blocks

SHORT = Training(epochs=2, batch_size=64, loggers=(), monitor="ndcg@5")
SETTINGS = Evaluation(ks=(5,), metrics=("recall", "ndcg"))
MODELS = ["bpr", "item-knn", "popularity"]


def trained(dataset, model, mask="train"):
    return flatrec.fit(dataset, model, "plain", training=SHORT, evaluation=SETTINGS.replace(mask=mask))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mask", ["train", "train+valid", "none"])
def test_on_its_own_data_a_recommender_scores_what_its_run_scores(model, mask):
    run = trained(block_dataset(blocks=3, users=8, items=6), model, mask)
    found = evaluate_recommender(run.recommender, run.dataset, "test", ks=(5,), metrics=("recall", "ndcg"), mask=mask)
    assert found.metrics == run.evaluate("test").metrics


def other_data():
    """The same shop a while later: other indices, new users and items, some gone, and other interactions.

    The items are in the old order, as equal scores rank by index.
    """
    drawn = np.random.default_rng(5)
    users = Vocabulary("user", [f"user {n}" for n in drawn.permutation(30)][:24])  # 24 of the old ones are 0 to 23
    items = Vocabulary("item", [f"item {n}" for n in sorted(drawn.permutation(22)[:16])])
    cells = drawn.permutation(24 * 16)[:150]
    columns = cells // 16, cells % 16, drawn.integers(0, 3, 150)
    return Dataset("later", Interactions(*columns, 24, 16), users, items)


def by_hand(recommender, dataset, k):
    """Recall of the lists that the recommender gives each user by itself."""
    values = []
    frame = dataset.to_frame()
    for user in dataset.users:
        rows = frame.filter(frame["user"] == user)
        relevant = set(rows.filter(rows["split"] == "test")["item"])
        if not relevant:
            continue
        older = [item for item in rows.filter(rows["split"] != "test")["item"]]
        gone = [item for item in recommender.items if item not in dataset.items]
        (listed,) = recommender.recommend(user, k, filter_seen=False, exclude=[*older, *gone], history=older)
        values.append(len(relevant & {one.item for one in listed}) / len(relevant))
    return float(np.mean(values))


@pytest.mark.parametrize("model", MODELS)
def test_on_other_data_it_scores_what_its_lists_are_worth(model):
    data = other_data()
    recommender = trained(block_dataset(blocks=3, users=8, items=6), model).recommender
    known = [user for user in data.users if user in recommender.users]
    assert 0 < len(known) < len(data.users)
    found = evaluate_recommender(recommender, data, "test", ks=(5,), metrics=("recall",))
    assert found.metrics["recall@5"] == pytest.approx(by_hand(recommender, data, 5), abs=1e-12)


def test_an_item_that_it_does_not_know_counts_as_missed():
    run = trained(block_dataset(blocks=1, users=8, items=6), "popularity")
    data = run.dataset
    renamed = replace(data, items=Vocabulary("item", [f"other {n}" for n in range(6)]))
    assert evaluate_recommender(run.recommender, renamed, "test").metrics["recall@10"] == 0.0


def test_interactions_that_it_has_seen_are_counted_by_id():
    data = dated_blocks()
    recommender = trained(data.split_again(SplitSettings(method="none")), "popularity").recommender
    n_test = data.interactions.count("test")
    assert count_seen(recommender, data) == n_test
    renamed = replace(data, users=Vocabulary("user", ["user 0", *(f"new {n}" for n in range(data.n_users - 1))]))
    assert count_seen(recommender, renamed) == int((data.interactions.indices("test")[0] == 0).sum())
