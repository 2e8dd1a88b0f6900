"""Running the command line inside the test's process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flatrec.cli import main
from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def flatrec(capsys):
    """Runs a command and gives exit code, standard output and standard error."""

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(stop.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def blocks(tmp_path):
    """A folder of tiny data."""
    mmrec.write(block_dataset(blocks=3, users=8, items=6), tmp_path / "blocks")
    return tmp_path / "blocks"


SMALL = ("--set", "model.embedding_dim=4", "--set", "training.epochs=2", "--set", "training.loggers=none")
SMALL += ("--set", "training.monitor=ndcg@20")  # recall@20 holds all items that are left to rank of the tiny data


@pytest.fixture
def trained(flatrec, blocks, tmp_path):
    """A finished run of LightGCN with BSAM+ on it."""
    words = ("--data", blocks, "--model", "lightgcn", "--strategy", "bsam+", *SMALL)
    outcome = flatrec("train", *words, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    return tmp_path / "run"
