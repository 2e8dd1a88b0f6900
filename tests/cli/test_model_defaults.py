"""The defaults of a model on the command line: what training prints, records and repeats, and what is listed."""

from __future__ import annotations

import json

import pytest

from flatrec.config import read
from flatrec.models import LightGCN
from flatrec.utils import user_classes
from tests.cli.conftest import SMALL

MINE = """
from flatrec.models import LightGCN

class Mine(LightGCN):
    DEFAULTS = {"regularization.kind": "squared", "regularization.weight": 0.01, "optimizer.lr": 0.003}
"""
TAKEN = 'regularization.kind = "squared", regularization.weight = 0.01, optimizer.lr = 0.003'


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_classes, "_loaded", [])
    (tmp_path / "mine.py").write_text(MINE)
    return "mine.py:Mine"


def trained_lr(run):
    return read(run / "experiment.toml").optimizer.options["lr"]


def test_training_prints_in_one_line_what_it_takes_and_records_every_setting(flatrec, blocks, mine, tmp_path):
    outcome = flatrec("train", "--data", blocks, "--model", mine, *SMALL, "--out", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.err.splitlines() if TAKEN in line]
    result = json.loads(outcome.out)["settings"]
    assert result["regularization"] == {"kind": "squared", "weight": 0.01}
    assert (result["strategy"]["name"], result["optimizer"]["options"]["lr"]) == ("plain", 0.003)
    assert trained_lr(tmp_path / "run") == 0.003


def test_what_a_user_states_wins_from_a_file_and_from_set(flatrec, blocks, mine, tmp_path):
    (tmp_path / "mine.toml").write_text(f'model.name = "{mine}"\nregularization.kind = "default"\n')
    words = ("--config", "mine.toml", "--data", blocks, *SMALL, "--set", "optimizer.lr=0.5")
    outcome = flatrec("train", *words, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "defaults of the model" not in outcome.err
    recorded = read(tmp_path / "run" / "experiment.toml")
    assert (recorded.regularization.kind, recorded.regularization.weight, trained_lr(tmp_path / "run")) == (
        "default",
        0.0,
        0.5,
    )


def test_a_run_is_resumed_repeated_and_refitted_as_recorded(flatrec, blocks, tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(LightGCN, "DEFAULTS", {})
    assert flatrec("train", "--data", blocks, "--model", "lightgcn", *SMALL, "--out", run).code == 0
    monkeypatch.setattr(LightGCN, "DEFAULTS", {"optimizer.lr": 0.25, "strategy.name": "sam"})
    again = (
        ("--resume", "--set", "training.epochs=3", "--out", run),
        ("--config", run / "experiment.toml", "--out", tmp_path / "repeated"),
        ("--refit", run, "--out", tmp_path / "refitted"),
    )
    for words in again:
        outcome = flatrec("train", *words)
        assert outcome.code == 0, outcome.err
        assert "defaults of the model" not in outcome.err
        recorded = read(words[-1] / "experiment.toml")
        assert (recorded.optimizer.options["lr"], recorded.strategy.name) == (0.001, "plain")


def test_a_comparison_and_a_sweep_take_them(flatrec, blocks, mine, tmp_path):
    words = ("--data", blocks, "--model", mine, *SMALL)
    outcome = flatrec("compare", *words, "--strategies", "plain,sam", "--seeds", "1", "--out", tmp_path / "compared")
    assert outcome.code == 0, outcome.err
    assert {trained_lr(tmp_path / "compared" / name / "seed-0") for name in ("plain", "sam")} == {0.003}
    (tmp_path / "space.toml").write_text('"model.n_layers" = [1]\n')
    outcome = flatrec(
        "sweep", *words, "--space", "space.toml", "--trials", 1, "--seeds", 0, "--out", tmp_path / "sweep"
    )
    assert outcome.code == 0, outcome.err
    assert {trained_lr(path.parent) for path in (tmp_path / "sweep").rglob("experiment.toml")} == {0.003}


def test_a_mistake_in_them_is_one_line(flatrec, blocks, mine, tmp_path):
    (tmp_path / "mine.py").write_text(MINE.replace("optimizer.lr", "optimizer.rate"))
    outcome = flatrec("train", "--data", blocks, "--model", mine, "--out", tmp_path / "run")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "Mine.DEFAULTS" in outcome.err
    assert "rate" in outcome.err
    assert not (tmp_path / "run").exists()


def test_they_are_listed(flatrec, monkeypatch):
    monkeypatch.setattr(LightGCN, "DEFAULTS", {"optimizer.lr": 0.25, "strategy.name": "sam"})
    assert 'optimizer.lr = 0.25, strategy.name = "sam"' in flatrec("list", "models", "lightgcn").out
    assert json.loads(flatrec("list", "models", "lightgcn", "--json").out)["models"][0]["defaults"] == {
        "optimizer.lr": 0.25,
        "strategy.name": "sam",
    }
    assert "defaults of the model" not in flatrec("list", "models", "bpr").out
