"""Groups without a training interaction: ranked by their members, where the model makes their vectors of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.data.groups import Groups
from flatrec.inference.evaluation import evaluate_recommender
from flatrec.inference.run import Run
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.testing import block_dataset
from tests.models.settings import make

UNTRAINED, ALONE = 8, 18  # groups; the members of the second are without a training interaction, too


def dataset():
    whole = block_dataset()
    interactions, groups = whole.interactions, whole.groups
    gone = [UNTRAINED, ALONE, *groups.persons[groups.groups == ALONE].tolist()]
    keep = ~(np.isin(interactions.users, gone) & interactions.mask("train"))
    return whole.with_interactions(interactions.take(keep))


@pytest.fixture(scope="module", params=["dot", "mlp"])
def run(request):
    data = dataset()
    return Run(data, make("aligngroup", data, predictor=request.param, n_layers=1))


def names(run, *indices):
    return [run.dataset.users[index] for index in indices]


def test_a_group_without_training_is_ranked_by_its_vector(run):
    recommender = run.recommender
    assert (recommender.by_members, recommender.groups) == ((UNTRAINED,), tuple(run.dataset.groups.indices.tolist()))
    (answer,) = recommender.recommend(names(run, UNTRAINED), 5, filter_seen=False, history=["item 0"])
    scores = run.scoring().scores(torch.tensor([UNTRAINED]))[0]
    best = scores.argsort(descending=True, stable=True)[:5]
    assert [one.item for one in answer] == [run.dataset.items[index] for index in best.tolist()]
    assert [one.score for one in answer] == pytest.approx(scores[best].tolist(), abs=1e-6)
    assert answer.path == "members"
    assert answer.note == (
        "group 'user 8' has no training interaction, so that its members decide; the history only counts as seen"
    )


def test_a_group_whose_members_are_unknown_too_gets_the_popular_items(run):
    (answer,) = run.recommender.recommend(names(run, ALONE), 3)
    assert answer.path == "popular"


def test_other_models_know_nothing_of_it():
    data = dataset()
    other = Run(data, make("lightgcn", data)).recommender
    assert other.by_members == ()
    assert other.recommend(["user 8"], 2)[0].path == "popular"


def test_it_wants_items_and_is_evaluated_by_its_vector(run):
    recommender = run.recommender
    wanted = {one.user for one in recommender.who_wants("item 0", 100, filter_seen=False)}
    assert "user 8" in wanted
    assert not wanted & set(names(run, ALONE))
    metrics = [run_of.metrics["ndcg@10"] for run_of in (_evaluated(run, run.recommender), _by_model(run))]
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-6)


def _only_untrained(run):
    interactions = run.dataset.interactions
    return interactions.take(interactions.mask("train") | (interactions.users == UNTRAINED))


def _evaluated(run, recommender):
    data = run.dataset.with_interactions(_only_untrained(run))
    return evaluate_recommender(recommender, data, metrics=["ndcg"], mask="train")


def _by_model(run):
    data = run.dataset.with_interactions(_only_untrained(run))
    return Run(data, run.model, ks=(10,), metrics=("ndcg",)).evaluate("test")


def test_it_is_saved_and_survives_the_forgetting_of_others(run, tmp_path):
    save_recommender(run.recommender, tmp_path / "saved")
    loaded = load_recommender(tmp_path / "saved")
    assert loaded.by_members == (UNTRAINED,)
    left = loaded.without_users(["user 0"])
    assert [left.users[index] for index in left.by_members] == ["user 8"]
    assert left.recommend("user 8", 3)[0].items == loaded.recommend("user 8", 3)[0].items
    assert loaded.without_users(["user 8"]).by_members == ()


def test_members_must_be_trained_not_only_known():
    data = dataset()
    lone = replace(data, groups=Groups(np.array([UNTRAINED]), np.array([ALONE]), data.n_users))
    assert Run(lone, make("aligngroup", lone)).recommender.by_members == ()
