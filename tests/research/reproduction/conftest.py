"""Tiny data, and the settings of the paper with few epochs."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset


@pytest.fixture
def data(tmp_path):
    mmrec.write(block_dataset(blocks=3, users=8, items=6), tmp_path / "blocks")
    return str(tmp_path / "blocks")


@pytest.fixture
def two_epochs(monkeypatch):
    """The settings of the paper, but for two epochs, which trials of a test need not exceed."""
    paper = tomllib.loads(files("flatrec.research.reproduction").joinpath("paper.toml").read_text(encoding="utf-8"))
    paper["experiment"]["training"]["epochs"] = 2
    monkeypatch.setattr("flatrec.research.reproduction.experiment.paper_settings", lambda: paper)
