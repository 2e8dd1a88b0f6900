"""The setting that gives the user-item graph the weights of the interactions, over all models that have it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.models import MODELS
from flatrec.testing import whole_batch
from tests.models.settings import make

WITH = [
    "bm3",
    "cohesion",
    "da-mrs",
    "dragon",
    "dualgnn",
    "fourierkan-gcf",
    "freedom",
    "layergcn",
    "lgmrec",
    "lightgcn",
    "mentor",
    "mgcn",
    "mmgcn",
    "ngcf",
    "pgl",
    "slmrec",
    "smore",
]
PLAIN = testing.tiny_dataset()


def weighted(values):
    return PLAIN.with_interactions(replace(PLAIN.interactions, weights=np.asarray(values, dtype=np.float32)))


N = len(PLAIN.interactions)
UNEVEN = weighted(np.random.default_rng(0).choice([0.25, 1.0, 3.0], size=N))


def embeddings(name, dataset, *, training, **options):
    """What a model encodes, after the hook that draws the epoch's graph."""
    model = make(name, dataset, **options).train(training)
    model.on_epoch_start(torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    return model.encode().node_embeddings.detach()


def test_the_models_with_the_setting_are_those_whose_graph_defines_it():
    having = [name for name, kind in MODELS.items() if "weighted_edges" in kind.Config.model_fields]
    assert sorted(having) == WITH


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", WITH)
def test_weights_count_where_they_are_asked_for_and_only_there(name, training):
    plain = embeddings(name, PLAIN, training=training)
    assert torch.equal(embeddings(name, UNEVEN, training=training), plain)
    assert torch.equal(embeddings(name, weighted(np.ones(N)), training=training, weighted_edges=True), plain)
    assert not torch.allclose(embeddings(name, UNEVEN, training=training, weighted_edges=True), plain)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - WITH))
def test_models_without_the_setting_take_no_notice_of_weights(name):
    assert torch.equal(embeddings(name, UNEVEN, training=True), embeddings(name, PLAIN, training=True))


@pytest.mark.parametrize("name", WITH)
def test_the_unit_of_the_weights_plays_no_part(name):
    scaled = weighted(UNEVEN.interactions.weights * 8)
    one, other = (embeddings(name, data, training=False, weighted_edges=True) for data in (UNEVEN, scaled))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)  # up to the offset of the degrees


def test_lightgcn_propagates_by_weights_as_dense_algebra_says():
    model = make("lightgcn", UNEVEN, n_layers=2, weighted_edges=True)
    users, items = UNEVEN.n_users, UNEVEN.n_items
    adjacency = np.zeros((users + items, users + items))
    log = UNEVEN.interactions
    for user, item, split, weight in zip(log.users, log.items, log.splits, log.weights, strict=True):
        if split == 0:
            adjacency[user, users + item] = adjacency[users + item, user] = weight
    roots = np.diag((adjacency.sum(axis=1) + 1e-7) ** -0.5)
    graph, nodes = roots @ adjacency @ roots, model.nodes.detach().double().numpy()
    expected = (nodes + graph @ nodes + graph @ graph @ nodes) / 3
    np.testing.assert_allclose(model.encode().node_embeddings.detach().numpy(), expected, atol=1e-6)


def test_a_step_on_weighted_edges_has_a_gradient_for_every_parameter():
    model = make("freedom", UNEVEN, weighted_edges=True)
    model.on_epoch_start(torch.Generator().manual_seed(0))
    model.loss(model.encode(), whole_batch(UNEVEN)).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
