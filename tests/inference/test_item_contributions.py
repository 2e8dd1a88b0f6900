"""The contributions of a user's items and the user's own part add up to the trained vector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.inference.explain import contributions
from flatrec.inference.item_contributions import item_contributions
from flatrec.inference.run import Run
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models import BPR, FREEDOM, LightGCN
from flatrec.testing import block_dataset


def weighted(dataset):
    generator = np.random.default_rng(0)
    weights = generator.integers(1, 5, len(dataset.interactions)).astype(np.float32)
    return dataset.with_interactions(replace(dataset.interactions, weights=weights))


def models():
    plain = block_dataset()
    heavy = weighted(plain)
    return [
        (plain, LightGCN(plain, LightGCN.Config(embedding_dim=8))),
        (plain, LightGCN(plain, LightGCN.Config(embedding_dim=8, n_layers=1))),
        (plain, FREEDOM(plain, FREEDOM.Config(embedding_dim=8, n_neighbors=3))),
        (heavy, LightGCN(heavy, LightGCN.Config(embedding_dim=8, weighted_edges=True))),
    ]


@pytest.mark.parametrize("index", range(4))
def test_contributions_and_the_users_own_part_add_up_to_the_score(index):
    dataset, model = models()[index]
    recommender = Run(dataset, model).recommender
    listed = np.arange(dataset.n_items)
    own_part = model.nodes.detach()[: dataset.n_users] / (model.config.n_layers + 1)
    for user in range(0, dataset.n_users, 5):
        found = contributions(recommender.scoring, recommender.history[[user]], listed)
        assert found.kind == "exact"
        total = found.values.sum(axis=0) + (own_part[user] @ recommender.scoring.items.T).numpy()
        scores = recommender.scoring.scores(torch.tensor([user]))[0].numpy()
        np.testing.assert_allclose(total, scores, rtol=1e-4, atol=1e-6)
        assert np.abs(found.values).max() > 1e-4


def test_what_is_no_sum_over_the_users_items_has_no_shares():
    plain = block_dataset()
    heavy = weighted(plain)

    class Other(LightGCN):
        pass

    for dataset, model in (
        (plain, BPR(plain)),
        (plain, Other(plain)),
        (plain, LightGCN(plain, LightGCN.Config(n_layers=0))),
        (heavy, LightGCN(heavy)),  # its graph ignores the weights
    ):
        assert item_contributions(model, dataset.interactions) is None


def test_shares_are_kept_in_the_folder(tmp_path):
    dataset, model = models()[0]
    recommender = Run(dataset, model).recommender
    save_recommender(recommender, tmp_path / "recommender")
    loaded = load_recommender(tmp_path / "recommender")
    assert torch.equal(loaded.scoring.contributions, recommender.scoring.contributions)
    user = dataset.users[0]
    assert loaded.recommend(user, 3, explain=True) == recommender.recommend(user, 3, explain=True)


def test_shares_stay_where_users_are_forgotten():
    dataset, model = models()[0]
    recommender = Run(dataset, model).recommender
    user = dataset.users[1]
    fewer = recommender.without_users([dataset.users[0]])
    assert fewer.recommend(user, 3, explain=True) == recommender.recommend(user, 3, explain=True)
    assert fewer.recommend(user, 3, explain=True)[0][0].reasons[0].kind == "exact"
