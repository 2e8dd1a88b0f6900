"""Real clusters and a real database: slow, and only where Ray or PostgreSQL is installed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flatrec.analysis import outcome as outcomes
from flatrec.data.formats import mmrec
from flatrec.testing import block_dataset

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.slow
SMALL = (
    *("--set", "model.dim=8", "--set", "training.epochs=60", "--set", "training.batch_size=16"),
    *("--set", "training.tensorboard=false", "--set", "training.patience=1000"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data, from which paths are relative."""
    mmrec.write(block_dataset(blocks=4, users=16, items=10), tmp_path / "blocks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(true, seconds=120):
    """Wait for something to become true, and give it."""
    for _ in range(seconds * 10):
        if found := true():
            return found
        time.sleep(0.1)
    pytest.fail(f"nothing came of it within {seconds} seconds")


def kill(process):
    """A process and all that it started, at once, as a machine that loses its power."""
    psutil = pytest.importorskip("psutil")
    family = psutil.Process(process.pid).children(recursive=True)
    for one in (process, *family):
        try:
            os.kill(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def at_work(process):
    """The workers of a Ray node that have a job at the moment."""
    psutil = pytest.importorskip("psutil")
    family = psutil.Process(process.pid).children(recursive=True)
    return [one for one in family if "ray::" in " ".join(one.cmdline()) and "IDLE" not in " ".join(one.cmdline())]


@pytest.fixture
def ray_nodes(monkeypatch):
    """Two nodes of one core each, the second of which joined by address; the address, and the second's process."""
    pytest.importorskip("ray")
    ray = BIN / "ray"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    address = f"127.0.0.1:{free_port()}"
    common = ["--num-cpus=1", "--disable-usage-stats", "--block"]
    head = [ray, "start", "--head", f"--port={address.split(':')[1]}", "--include-dashboard=false", *common]
    nodes = []
    try:
        nodes.append(subprocess.Popen(head, stdout=subprocess.DEVNULL))
        until(lambda: subprocess.run([ray, "status", f"--address={address}"], capture_output=True).returncode == 0)
        nodes.append(subprocess.Popen([ray, "start", f"--address={address}", *common], stdout=subprocess.DEVNULL))
        until(lambda: n_nodes(ray, address) == 2)
        yield address, nodes[1]
    finally:
        for node in nodes:
            if node.poll() is None:
                kill(node)


def n_nodes(ray, address):
    told = subprocess.run([ray, "status", f"--address={address}"], capture_output=True, text=True, check=False).stdout
    return told.count("1 node_")


def results(out):
    return {path.parent.name: path.stat().st_mtime_ns for path in Path(out).glob("runs/*/result.json")}


def test_a_study_over_two_ray_nodes_is_completed_though_one_is_killed(folder, ray_nodes):
    address, second = ray_nodes
    study = [
        *(str(BIN / "flatrec"), "study", "overall", "--data", "blocks", "--models", "lightgcn"),
        *("--strategies", "plain,bsam", "--seeds", "6", *SMALL),
    ]
    process = subprocess.Popen(
        [*study, "--out", "torn", "--backend", "ray", "--address", address, "--jobs", "-1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: at_work(second) and len(results("torn")) >= 2)
    before = results("torn")
    assert len(before) < 10
    kill(second)
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    subprocess.run([*study, "--out", "whole"], check=True, capture_output=True)
    torn, whole = outcomes.read(folder / "torn"), outcomes.read(folder / "whole")
    assert torn.failures == ()
    assert torn.tables == whole.tables
    after = results("torn")
    assert len(after) == 12
    assert before.items() <= after.items()
