"""A league of two methods on a few users and items, whose runs take a tenth of a second."""

from __future__ import annotations

import shutil

import pytest

from flatrec.data.formats import mmrec
from flatrec.research.league import Cell, League, Method, Plan, run_league
from flatrec.research.league.spec import Rules
from flatrec.research.sweeps.space import Choices
from flatrec.testing import block_dataset

SETTINGS = {
    "model.name": "lightgcn",
    "model.embedding_dim": 4,
    "strategy.name": "plain",
    "training.epochs": 3,
    "training.batch_size": 32,
    "training.monitor": "recall@5",
    "training.loggers": [],
}
SPACE = {"optimizer.lr": Choices((0.001, 0.01, 0.1)), "regularization.weight": Choices((0.0, 0.01))}


@pytest.fixture(scope="session")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "blocks"
    mmrec.write(block_dataset(blocks=3, users=8, items=6), folder)
    return folder


@pytest.fixture(scope="session")
def cell(blocks):
    return Cell("blocks", str(blocks))


def method(name, space=SPACE, **settings):
    """A method with a squared penalty."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return Method(name, Plan({"regularization.kind": "squared", **dotted}, space))


@pytest.fixture(scope="session")
def league(cell):
    """Two methods, two trials each, two finals each."""
    rules = Rules(n_trials=2, final_seeds=(1, 2), disturbances={"vectors": (0.2,), "edit": (0.5,)}, draws=2)
    return League(rules, SETTINGS, (cell,), (method("plain"), method("sam", strategy__name="sam")))


@pytest.fixture(scope="session")
def finished(league, tmp_path_factory):
    """The folder of the league after it was run, and what it returned."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run_league(league, folder)


@pytest.fixture
def done(finished, tmp_path):
    """The league's records in the test's own folder ``done``, and what it returned."""
    shutil.copytree(finished[0], tmp_path / "done")
    return finished[1]
