"""A process that dies ends the run with one line and within bounded time, and the run goes on from its checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import flatrec
from flatrec.ops.process_group import LostProcessError
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT
from tests.parallel.case import DATA, Case
from tests.parallel.kills import DieAt
from tests.parallel.together import together
from tests.processes import LIMIT

CASES = [Case("lightgcn", "bsam+", training={"epochs": 6}, parallel=parallel) for parallel in ("columns", "batches")]


def train(rank, case, folder, dying):
    """Train; one process dies in the fourth epoch, and the others write down what they say of it."""
    try:
        flatrec.run_experiment(
            case.experiment(), DATA, folder, log_warnings=False, callbacks=[DieAt(4, 2)] if rank == dying else []
        )
    except LostProcessError as error:
        (folder.parent / f"{rank}.txt").write_text(str(error))


@pytest.mark.parametrize("dying", [0, 1])
@pytest.mark.parametrize("case", CASES, ids=["columns", "batches"])
def test_the_others_end_when_one_dies_and_a_single_process_goes_on(case, dying, tmp_path):
    together(2, train, case, tmp_path / "run", dying, folder=tmp_path, dying=dying)
    said = (tmp_path / f"{1 - dying}.txt").read_text()
    assert said.startswith("a process of this run has ended or does not answer")
    assert "\n" not in said
    assert ".cc" not in said
    folders = [tmp_path / "run", tmp_path / "alone"]
    flatrec.run_experiment(case.experiment(), DATA, folders[0], resume=True, log_warnings=False)
    flatrec.run_experiment(case.experiment(), DATA, folders[1], log_warnings=False)
    resumed, alone = (checkpoint.load(folder / CHECKPOINT).tensors for folder in folders)
    for name, tensor in alone.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=1e-4, atol=1e-5)


def words(out, *more):
    settings = ("embedding_dim=9", "n_layers=1")
    chosen = [word for setting in settings for word in ("--set", f"model.{setting}")]
    return ["train", "--data", "shop", "--model", "lightgcn", "--out", str(out), *chosen, *more]


def torchrun(*given, folder):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen([*command, "-m", "flatrec", *given], cwd=folder, stdout=out, stderr=err)


def said(folder):
    return [line for line in (folder / "err").read_text().splitlines() if line.startswith("flatrec:")]


def children_of(running):
    return [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]


def wait_for(condition):
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.1)


@pytest.mark.slow
def test_torchrun_ends_a_run_whose_process_is_killed_and_it_goes_on(tmp_path):
    out = tmp_path / "run"
    columns = ["--set", "training.parallel=columns", "--set", "training.epochs=12"]
    running = torchrun(*words(out, *columns), folder=tmp_path)
    wait_for(lambda: _lines(out))
    second = next(pid for pid in children_of(running) if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes())
    os.kill(second, signal.SIGKILL)
    assert running.wait(60) != 0
    assert len(said(tmp_path)) == 1
    assert "--resume" in said(tmp_path)[0]
    assert torchrun("train", "--out", str(out), "--resume", folder=tmp_path).wait(LIMIT) == 0
    assert said(tmp_path) == []
    assert (tmp_path / "out").read_text().count("best epoch") == 1
    assert flatrec.load_run(out).result["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["columns", "batches"])
def test_processes_end_if_torchrun_is_killed(parallel, tmp_path):
    out = tmp_path / "run"
    endless = ["--set", f"training.parallel={parallel}", "--set", "training.epochs=100000"]
    running = torchrun(*words(out, *endless, "--set", "training.patience=100000"), folder=tmp_path)
    wait_for(lambda: _lines(out))
    children = children_of(running)
    running.kill()
    running.wait()
    try:
        wait_for(lambda: not any(map(_is_alive, children)))
    finally:
        for pid in filter(_is_alive, children):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "line"),
    [
        ([], "2 processes were started, and each would train the same"),
        (["--set", "training.parallel=columns", "--strategy", "ssam"], "strategy ssam needs all columns"),
        (["--bogus"], "No such option: --bogus"),
    ],
)
def test_a_refusal_is_said_once(more, line, tmp_path):
    assert torchrun(*words(tmp_path / "run", *more), folder=tmp_path).wait(LIMIT) != 0
    assert [line in one for one in said(tmp_path)] == [True]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_another_command_than_train_is_refused_once(tmp_path):
    assert torchrun("evaluate", "run", folder=tmp_path).wait(LIMIT) != 0
    assert ["run flatrec evaluate without torchrun" in line for line in said(tmp_path)] == [True]


def _lines(out):
    records = out / "epochs.jsonl"
    return records.read_text().count("\n") if records.exists() else 0


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
