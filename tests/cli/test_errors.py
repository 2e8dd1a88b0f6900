"""Bad input: one line, the right exit code, nothing left behind."""

from __future__ import annotations

import importlib.util
import json
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from flatrec.cli.printing import print_table
from flatrec.utils.integrity import MANIFEST
from tests.cli.conftest import SMALL


def one_line(outcome, code, *parts):
    assert outcome.code == code
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("flatrec: ")
    assert all(part in lines[0] for part in parts), lines[0]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("bogus",), ("bogus",)),
        (("train",), ("--out",)),
        (("train", "--out", "RUN", "--model", "freedum"), ("freedum", "did you mean freedom")),
        (("train", "--out", "RUN", "--strategy", "bsma"), ("bsma", "did you mean bsam")),
        (("train", "--out", "RUN", "--set", "model.layer=3"), ("layer", "did you mean n_layers")),
        (("train", "--out", "RUN", "--set", "modle.n_layers=3"), ("modle", "did you mean model")),
        (("train", "--out", "RUN", "--set", "layers"), ("key=value", "'layers'")),
        (("train", "--out", "RUN", "--set", "training.epochs=many"), ("training.epochs", "integer", "'many'")),
        (("train", "--out", "RUN", "--strategy", "sam", "--set", "strategy.rho=-1"), ("rho", "-1")),
        (("train", "--out", "RUN", "--set", "strategy.rho=1"), ("'rho'", "strategy.name is plain by default")),
        (
            ("train", "--out", "RUN", "--set", "optimizer.lrr=1"),
            ("did you mean lr", "optimizer.name is adam by default"),
        ),
        (("train", "--out", "RUN", "--set", "training.amr.epsilon=nan"), ("training.amr", "epsilon", "nan")),
        (("train", "--out", "RUN", "--set", "training.amr.eps=0.1"), ("'eps'", "did you mean epsilon")),
        (("train", "--out", "RUN", "--set", "training.amr=0.1"), ("training.amr is a group", "epsilon, weight")),
        (
            ("train", "--out", "RUN", "--model", "lightgcn", "--set", "training.amr.epsilon=0.1"),
            ("training.amr: LightGCN reads no item features",),
        ),
        (("train", "--out", "RUN", "--device", "tpu"), ("device", "'tpu'")),
        (("train", "--out", "RUN", "--data", "NOWHERE"), ("NOWHERE", "does not exist")),
        (("train", "--out", "RUN", "--config", "NOWHERE.toml"), ("NOWHERE.toml",)),
        (("evaluate", "NOWHERE"), ("NOWHERE", "no finished run")),
        (("recommend", "NOWHERE", "--user", "a"), ("NOWHERE", "holds no recommender")),
        (("data", "info", "NOWHERE"), ("NOWHERE", "does not exist")),
        (("data", "shop", "OUT", "--users", "1"), ("users", "1")),
        (("data", "shop", "OUT", "--like", "babies"), ("babies",)),
        (("compare", "--out", "RUN", "--strategies", "plain"), ("two different strategies",)),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(flatrec, blocks, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    given = ("--data", blocks) if words[0] in ("train", "compare") and "--data" not in words else ()
    one_line(flatrec(*words, *given), 2, *parts)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_id_that_is_not_there_is_named(flatrec, trained):
    one_line(flatrec("similar", trained, "--item", "itm 1"), 2, "'itm 1' is not in the data set", "'item 1'")
    outcome = flatrec("recommend", trained, "--user", "user 99")
    assert outcome.code == 0
    assert "For user 99 (popular)" in outcome.out
    assert "user 'user 99' is not known" in outcome.out


def test_a_folder_that_holds_a_run_is_refused(flatrec, trained, blocks):
    before = (trained / "result.json").read_bytes()
    outcome = flatrec("train", "--data", blocks, "--model", "lightgcn", *SMALL, "--out", trained)
    one_line(outcome, 2, "already holds a run", "--overwrite")
    assert (trained / "result.json").read_bytes() == before
    assert flatrec("train", "--data", blocks, "--model", "bpr", *SMALL, "--out", trained, "--overwrite").code == 0


@pytest.mark.parametrize("content", [b"", b"short", pickle.dumps({"a": 1}), bytes(1000)])
def test_a_damaged_checkpoint_is_refused(flatrec, trained, content):
    (trained / "checkpoint.safetensors").write_bytes(content)
    one_line(flatrec("evaluate", trained), 2, "checkpoint.safetensors is damaged or was changed since it was written")
    (trained / MANIFEST).unlink()
    one_line(flatrec("evaluate", trained), 2, "checkpoint.safetensors", "truncated or not a safetensors file")


def test_a_checkpoint_of_another_model_is_refused(flatrec, trained, blocks, tmp_path):
    assert flatrec("train", "--data", blocks, "--model", "lightgcn", *SMALL, "--set", "model.embedding_dim=5",
                   "--out", tmp_path / "other").code == 0  # fmt: skip
    (trained / "checkpoint.safetensors").write_bytes((tmp_path / "other" / "checkpoint.safetensors").read_bytes())
    (trained / MANIFEST).unlink()
    one_line(flatrec("evaluate", trained), 2, "checkpoint.safetensors belongs to another run")


@pytest.mark.parametrize("name", ["result.json", "data.json", "experiment.toml"])
@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_damaged_run_folder_is_refused(flatrec, trained, name, content):
    (trained / name).write_text(content)
    outcome = flatrec("evaluate", trained)
    one_line(outcome, 2, name)


def test_features_that_are_not_finite_are_refused(flatrec, blocks, tmp_path):
    path = blocks / "image_feat.npy"
    values = np.load(path)
    values[3, 1] = np.nan
    np.save(path, values)
    outcome = flatrec("train", "--data", blocks, "--out", tmp_path / "run")
    one_line(outcome, 2, "image_feat.npy", "finite", "1 of 18 rows")
    assert not (tmp_path / "run").exists()


def test_features_with_other_rows_than_items_are_refused(flatrec, blocks, tmp_path):
    path = blocks / "text_feat.npy"
    np.save(path, np.load(path)[:-1])
    one_line(flatrec("train", "--data", blocks, "--out", tmp_path / "run"), 2, "17", "18")


def test_a_file_where_a_folder_should_be_is_refused(flatrec, blocks, tmp_path):
    (tmp_path / "file").write_text("")
    words = ("train", "--data", blocks, "--model", "bpr", *SMALL, "--out", tmp_path / "file" / "run")
    one_line(flatrec(*words), 2, "cannot make the folder")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
def test_an_unwritable_folder_is_refused(flatrec, blocks):
    words = ("train", "--data", blocks, "--model", "bpr", *SMALL, "--out", "/proc/run")
    outcome = flatrec(*words)
    assert outcome.code in (1, 2)
    one_line(outcome, outcome.code, "cannot make the folder /proc/run")


def test_divergence_is_a_failure_with_advice(flatrec, blocks, tmp_path):
    words = ("train", "--data", blocks, "--model", "bpr", *SMALL, "--set", "optimizer.name=sgd")
    outcome = flatrec(*words, "--set", "optimizer.lr=1e38", "--set", "training.batch_size=8", "--out", tmp_path / "run")
    assert outcome.code == 1
    assert "flatrec: epoch 1: 10 steps in a row" in outcome.err
    assert "lower optimizer.lr" in outcome.err
    assert not (tmp_path / "run" / "result.json").exists()


def test_resume_without_a_run_is_refused(flatrec, tmp_path):
    one_line(flatrec("train", "--resume", "--out", tmp_path / "typo"), 2, "holds no run to resume")
    assert not (tmp_path / "typo").exists()


def test_ids_are_not_taken_for_markup(flatrec, blocks, tmp_path):
    outcome = flatrec("train", "--data", blocks, "--model", "bpr", *SMALL, "--out", tmp_path / "run")
    assert outcome.code == 0
    one_line(flatrec("similar", tmp_path / "run", "--item", "[/b]"), 2, "'[/b]' is not in the data set")
    assert "For [/b] (popular)" in flatrec("recommend", tmp_path / "run", "--user", "[/b]").out
    print_table("[/b]", ["[red]x", ":cat:"], [["[/i]", "[bold]"]])


def test_an_interrupt_says_how_to_go_on(flatrec, blocks, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("flatrec.api.run_experiment", interrupt)
    outcome = flatrec("train", "--data", blocks, "--out", tmp_path / "run")
    one_line(outcome, 130, "interrupted; continue with --resume")


def test_debug_shows_the_traceback(flatrec):
    outcome = flatrec("data", "info", "NOWHERE", "--debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err


KILLED_IN_EPOCH_3 = """
import os, signal
from flatrec.cli import main
from flatrec.training import trainer

append = trainer.append_line

def append_and_die(path, record, run):
    append(path, record, run)
    if record.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)

trainer.append_line = append_and_die
main()
"""


def test_resume_after_kill_9_equals_an_uninterrupted_run(flatrec, blocks, tmp_path):
    words = [
        "train",
        "--data",
        str(blocks),
        "--model",
        "lightgcn",
        "--strategy",
        "bsam+",
        "--set",
        "model.embedding_dim=4",
    ]
    words += ["--set", "training.epochs=6", "--set", "training.batch_size=32"]
    assert flatrec(*words, "--out", tmp_path / "whole").code == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED_IN_EPOCH_3, *words, "--out", str(killed)]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert len((killed / "epochs.jsonl").read_text().splitlines()) == 3  # the checkpoint is still that of epoch 2
    assert not (killed / "result.json").exists()
    assert flatrec("train", "--resume", "--out", killed).code == 0
    results = [json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "whole", killed)]
    assert results[0]["test"] == results[1]["test"]
    assert results[0]["diagnostics"] == results[1]["diagnostics"]
    checkpoints = [(folder / "checkpoint.safetensors").read_bytes() for folder in (killed, tmp_path / "whole")]
    assert checkpoints[0] == checkpoints[1]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("train", "--out", ""), ("--out is empty",)),
        (("train", "--out="), ("--out is empty",)),
        (("train", "--data", "", "--out", "RUN"), ("--data is empty",)),
        (("compare", "--out", " "), ("--out is empty",)),
        (("data", "info", ""), ("an argument is empty",)),
        (("evaluate", ""), ("an argument is empty",)),
        (("recommend", "RUN", "--user", ""), ("--user is empty",)),
        (("report", "DIR", "--out", ""), ("--out is empty",)),
        (("study", "noise", "--out", "RUN", "--runs", ""), ("--runs is empty",)),
        (
            ("train", "--out", "RUN", "--set", "training.batch_size=100000000000000000000"),
            ("training.batch_size", "1000"),
        ),
        (
            ("train", "--out", "RUN", "--set", "model.n_layers=99999999999999999999"),
            ("model.n_layers must be at most 100",),
        ),
        (("train", "--out", "RUN", "--set", "optimizer.lr=1e308"), ("optimizer.lr must be at most 3.4e+38",)),
        (
            ("train", "--out", "RUN", "--strategy", "sam", "--set", "strategy.rho=1e308"),
            ("strategy.rho must be at most 3.4e+38",),
        ),
        (("train", "--out", "RUN", "--set", "optimizer.differentiable=true"), ("optimizer.differentiable",)),
        (("compare", "--out", "RUN", "--seeds", "99999999999999999999"), ("--seeds must lie between 1 and 10000",)),
        (("sweep", "--out", "RUN", "--seeds", "2000000000"), ("--seeds must lie between",)),
        (("sweep", "--out", "RUN", "--trials", "99999999999999999999"), ("--trials must lie between",)),
        (("study", "noise", "--out", "RUN", "--seeds", "2000000000"), ("--seeds must lie between",)),
        (("train", "--out", "RUN", "--model", "x" * 5000), ("unknown model", "more; or give your own")),
        (("train", "--out", "RUN", "--strategy", "x" * 5000), ("unknown strategy", "more")),
        (("train", "--out", "RUN", "--set", "x" * 5000 + "=1"), ("unknown setting",)),
        (("train", "--out", "RUN", "--set", "model.embedding_dim=" + "[" * 5000), ("model.embedding_dim", "integer")),
    ],
)
def test_what_is_absurd_is_refused_in_one_short_line_before_anything_is_written(
    flatrec, blocks, tmp_path, monkeypatch, words, parts
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    given = ("--data", blocks) if words[0] in ("train", "compare", "study", "sweep") and "--data" not in words else ()
    outcome = flatrec(*words, *given)
    one_line(outcome, 2, *parts)
    assert len(outcome.err) <= 510
    assert sorted(tmp_path.rglob("*")) == before


def test_a_lack_of_memory_says_what_to_lower(flatrec, blocks, tmp_path):
    words = (
        "train",
        "--data",
        blocks,
        "--model",
        "bpr",
        "--set",
        "model.embedding_dim=2000000000",
        "--out",
        tmp_path / "run",
    )
    one_line(flatrec(*words), 1, "out of memory (", "lower training.batch_size, model.embedding_dim")
    assert not (tmp_path / "run").exists()


def test_an_error_that_nobody_thought_of_is_one_line_too(flatrec, monkeypatch):
    def fail(*_):
        raise TypeError("x" * 10_000)

    monkeypatch.setattr("flatrec.api.load", fail)
    outcome = flatrec("compare", "--out", "nowhere")
    one_line(outcome, 1, "TypeError: xxx", "--debug shows")
    assert len(outcome.err) <= 510


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="the backend is there")
def test_a_backend_that_is_missing_is_not_taken_for_a_database_driver(flatrec, blocks, tmp_path):
    words = ("sweep", "--data", blocks, "--model", "lightgcn", "--backend", "ray", "--trials", 1, *SMALL)
    outcome = flatrec(*words, "--out", tmp_path / "out")
    one_line(outcome, 1, "pip install 'flatrec[ray]'")
    assert "postgresql" not in outcome.err
