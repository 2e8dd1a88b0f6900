"""A small data set on disk, and requests for runs of a moment."""

from __future__ import annotations

import pytest

from flatrec import config
from flatrec.cli import main
from flatrec.config import Experiment
from flatrec.research.studies import Request

QUICK = {
    "training": {"epochs": 2, "batch_size": 256, "loggers": []},
    "model": {"embedding_dim": 8},
    "optimizer": {"lr": 0.01},
}


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A folder with pairs, images and texts of 60 users and 40 items."""
    folder = tmp_path_factory.mktemp("data") / "shop"
    with pytest.raises(SystemExit) as ended:
        main(["data", "shop", str(folder), "--users", "60", "--items", "40", "--json"])
    assert ended.value.code == 0
    return folder


@pytest.fixture
def request_for(shop):
    """A request for quick runs on the small shop."""

    def made(models=("freedom",), strategies=("plain", "bsam"), seeds=(0, 1), **changes):
        base = config.changed(Experiment(), {**QUICK, **changes})
        return Request((str(shop),), tuple(models), tuple(strategies), tuple(seeds), base)

    return made
