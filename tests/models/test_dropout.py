"""Dropout on the edges and messages of the user-item graph, over all models that have the settings."""

import pytest
import torch

from flatrec import testing
from flatrec.models import MODELS
from tests.models.settings import SETTINGS, make

WITHOUT = ["aligngroup", "bpr", "vbpr"]  # no graph of users and items
WITH = sorted(MODELS.keys() - WITHOUT)
DATA = testing.tiny_dataset()


def embeddings(name, *, training, epoch_seed=3, step_seed=4, **options):
    """What a model encodes, after the hook that draws the epoch's graph."""
    model = make(name, DATA, **options).train(training)
    model.on_epoch_start(torch.Generator().manual_seed(epoch_seed))
    torch.manual_seed(step_seed)
    return model.encode().node_embeddings.detach()


def test_the_models_with_the_settings_are_those_with_a_user_item_graph():
    for setting in ("edge_dropout", "message_dropout"):
        assert sorted(name for name, kind in MODELS.items() if setting in kind.Config.model_fields) == WITH


def test_only_the_papers_that_drop_something_do_so_by_default():
    defaults = {name: MODELS[name].Config() for name in WITH}
    assert {name: one.edge_dropout for name, one in defaults.items() if one.edge_dropout} == {
        "freedom": 0.8,
        "layergcn": 0.1,
        "pgl": 0.7,
    }
    assert {name: one.message_dropout for name, one in defaults.items() if one.message_dropout} == {
        "fourierkan-gcf": 0.1,
        "ngcf": 0.1,
    }


@pytest.mark.parametrize("setting", ["edge_dropout", "message_dropout"])
@pytest.mark.parametrize("name", WITH)
def test_dropout_acts_in_training_and_only_there(name, setting):
    off, on = {setting: 0.0}, {setting: 0.5}
    assert torch.equal(embeddings(name, training=False, **on), embeddings(name, training=False, **off))
    assert not torch.allclose(embeddings(name, training=True, **on), embeddings(name, training=True, **off))


@pytest.mark.parametrize("name", WITH)
def test_edges_are_drawn_for_an_epoch_and_messages_for_a_step(name):
    edges, messages = {"edge_dropout": 0.5, "message_dropout": 0.0}, {"edge_dropout": 0.0, "message_dropout": 0.5}
    first = embeddings(name, training=True, **edges)
    assert torch.equal(first, embeddings(name, training=True, **edges))
    assert not torch.allclose(first, embeddings(name, training=True, epoch_seed=5, **edges))
    first = embeddings(name, training=True, **messages)
    assert torch.equal(first, embeddings(name, training=True, **messages))
    assert not torch.allclose(first, embeddings(name, training=True, step_seed=5, **messages))


def test_ngcf_leaves_out_entries_of_the_epochs_graph_alone():
    model = make("ngcf", DATA, edge_dropout=0.5, node_dropout=0.2)
    model.on_epoch_start(torch.Generator().manual_seed(0))
    assert len(model.edges.rows) == model.graph.dropped.coo().nnz < model.graph.full.coo().nnz
    entries = model.graph.dropped.coo()
    assert (model.edges.rows.numpy() == entries.row).all()
    assert (model.edges.columns.numpy() == entries.col).all()


@pytest.mark.repeats
@pytest.mark.parametrize("name", WITH)
def test_every_model_keeps_its_contract_with_dropout(name, monkeypatch):
    monkeypatch.setattr("flatrec.testing.runner.check_strategies", lambda *_: None)
    options = SETTINGS[name] | {"edge_dropout": 0.3, "message_dropout": 0.3}
    findings = testing.check_model(lambda data: MODELS[name](data, MODELS[name].Config(**options)))
    assert [(one.check, one.reason) for one in findings if one.outcome != "ok"] == []
