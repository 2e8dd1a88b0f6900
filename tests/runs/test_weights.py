"""What uses the weights of interactions, and what says that it does not."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.api import fit, run_experiment
from flatrec.config import Component, Experiment, Training
from flatrec.data.formats import mmrec
from flatrec.runs import weights
from flatrec.testing import block_dataset
from tests.training.kills import KillAt, Killed

PLAIN = block_dataset(blocks=3, users=8, items=6)
UNEVEN = PLAIN.with_interactions(
    replace(PLAIN.interactions, weights=np.linspace(1, 9, len(PLAIN.interactions)).astype(np.float32))
)
SHORT = Training(epochs=3, batch_size=32, loggers=())
SAMPLED = SHORT.replace(weighted_sampling=True)
IGNORED = "the weights of the interactions of 'blocks' are ignored: {} uses them only with training.weighted_sampling"


def experiment(model="lightgcn", training=SHORT, **settings):
    return Experiment(data="", model=Component(model, {"embedding_dim": 4, **settings}), training=training)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (experiment(), IGNORED.format("lightgcn") + " or model.weighted_edges"),
        (experiment(weighted_edges=False), IGNORED.format("lightgcn") + " or model.weighted_edges"),
        (experiment("bpr"), IGNORED.format("bpr")),
        (experiment("bpr", training=SAMPLED), ""),
        (experiment(weighted_edges=True), ""),
        (Experiment(model=Component("popularity")), ""),
        (Experiment(model=Component("item-knn")), ""),
        (Experiment(model=Component("mine.py:Mine")), ""),  # nothing is known of it
    ],
)
def test_who_ignores_weights_is_said(chosen, said):
    assert weights.ignored(chosen, UNEVEN) == said
    assert not weights.ignored(chosen, PLAIN)


def test_training_weights_that_are_all_equal_are_not_missed():
    train = PLAIN.interactions.splits == 0
    equal = PLAIN.with_interactions(replace(PLAIN.interactions, weights=np.where(train, 2, 5).astype(np.float32)))
    assert not weights.ignored(experiment(), equal)


def test_the_sentence_is_logged_once_and_stands_in_the_result(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run_experiment(experiment(), UNEVEN, tmp_path / "run")
    said = IGNORED.format("lightgcn") + " or model.weighted_edges"
    assert [record.getMessage() for record in caplog.records].count(said) == 1
    assert said in json.loads((tmp_path / "run" / "result.json").read_text())["warnings"]


@pytest.mark.parametrize(
    ("chosen", "setting"),
    [
        (experiment(training=SAMPLED), "training.weighted_sampling"),
        (experiment(weighted_edges=True), "model.weighted_edges"),
    ],
)
def test_a_setting_that_needs_weights_is_refused_without_them(chosen, setting, tmp_path):
    with pytest.raises(
        ValueError, match=f"^{setting} is true, but the interactions of 'blocks' have no weights; [^\n]*$"
    ):
        run_experiment(chosen, PLAIN, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_weighted_sampling_and_edges_resumes_bit_for_bit(tmp_path):
    mmrec.write(UNEVEN, tmp_path / "data")
    chosen = experiment("freedom", SAMPLED, n_neighbors=3, weighted_edges=True).replace(data=str(tmp_path / "data"))
    whole = run_experiment(chosen, out=tmp_path / "whole")
    assert whole.dataset.interactions.weights is not None
    with pytest.raises(Killed):
        run_experiment(chosen, out=tmp_path / "killed", callbacks=[KillAt(epoch=2, step=1)])
    resumed = run_experiment(chosen, out=tmp_path / "killed", resume=True)
    before, after = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_that_nothing_uses_change_no_bit_and_those_that_are_used_do():
    ends = {}
    for name, data, training in [("plain", PLAIN, SHORT), ("off", UNEVEN, SHORT), ("on", UNEVEN, SAMPLED)]:
        run = fit(data, "lightgcn", "bsam+", model_settings={"embedding_dim": 4}, training=training)
        ends[name] = run.model.nodes.detach()
    assert torch.equal(ends["plain"], ends["off"])
    assert not torch.equal(ends["plain"], ends["on"])
