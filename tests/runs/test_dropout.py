"""A run with dropped edges and messages goes on after a kill bit for bit."""

import pytest
import torch

from flatrec.api import run_experiment
from flatrec.config import Component, Experiment, Training
from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset
from tests.training.kills import KillAt, Killed

DATA = block_dataset(blocks=3, users=8, items=6)


@pytest.mark.parametrize("name", ["lightgcn", "ngcf", "layergcn", "mmgcn", "grcn", "dualgnn"])
def test_a_run_with_dropout_of_edges_and_messages_resumes_bit_for_bit(name, tmp_path):
    mmrec.write(DATA, tmp_path / "data")
    settings = {"embedding_dim": 4, "edge_dropout": 0.3, "message_dropout": 0.3}
    chosen = Experiment(
        data=str(tmp_path / "data"),
        model=Component(name, settings),
        training=Training(epochs=3, batch_size=32, loggers=()),
    )
    whole = run_experiment(chosen, out=tmp_path / "whole")
    with pytest.raises(Killed):
        run_experiment(chosen, out=tmp_path / "killed", callbacks=[KillAt(epoch=2, step=1)])
    resumed = run_experiment(chosen, out=tmp_path / "killed", resume=True)
    before, after = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
