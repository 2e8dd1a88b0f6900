"""Runs whose propagation stores its layers in 16 bits."""

import pytest
import torch

from flatrec.api import run_experiment
from flatrec.config import Component, Experiment, Training
from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset
from tests.training.kills import KillAt, Killed

DATA = block_dataset(blocks=3, users=8, items=6)
RUNS = [("lightgcn", "plain", {}), ("freedom", "bsam+", {}), ("lightgcn", "sam+", {"perturb_target": "embeddings"})]


def experiment_of(data, model, strategy, **training):
    return Experiment(
        data=str(data),
        model=Component(model, {"embedding_dim": 4, "edge_dropout": 0.3}),
        strategy=Component(strategy),
        training=Training(epochs=3, batch_size=32, loggers=(), **training),
    )


def weights_of(run):
    return torch.cat([tensor.flatten() for tensor in run.model.state_dict().values()])


@pytest.mark.parametrize(("model", "strategy", "training"), RUNS)
def test_a_run_is_near_one_in_float32_and_resumes_bit_for_bit(model, strategy, training, tmp_path):
    mmrec.write(DATA, tmp_path / "data")
    chosen = experiment_of(tmp_path / "data", model, strategy, layer_precision="bfloat16", **training)
    whole = weights_of(run_experiment(chosen, out=tmp_path / "whole"))
    with pytest.raises(Killed):
        run_experiment(chosen, out=tmp_path / "killed", callbacks=[KillAt(epoch=2, step=1)])
    resumed = weights_of(run_experiment(chosen, out=tmp_path / "killed", resume=True))
    exact = weights_of(run_experiment(experiment_of(tmp_path / "data", model, strategy, **training)))
    assert torch.equal(whole, resumed)
    assert 0 < (whole - exact).norm() / exact.norm() < 0.1
