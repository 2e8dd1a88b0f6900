"""Real clusters and a real database: slow, and only where Ray or PostgreSQL is installed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from flatrec.data.formats import mmrec
from flatrec.research.execution import Workers, execute
from flatrec.research.reporting import study_result
from flatrec.research.sweeps.trials import TIE_BREAKER
from flatrec.testing import block_dataset
from tests.postgresql_server import running_server

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.slow
SMALL = (
    *("--set", "model.embedding_dim=8", "--set", "training.epochs=60", "--set", "training.batch_size=16"),
    *("--set", "training.loggers=none", "--set", "training.patience=1000"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data, from which paths are relative."""
    mmrec.write(block_dataset(blocks=6, users=24, items=20), tmp_path / "blocks")
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
    if process.poll() is not None:
        return
    psutil = pytest.importorskip("psutil")
    for one in (*psutil.Process(process.pid).children(recursive=True), process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    process.wait()


def started(words, log):
    """A command that goes on, what it says being written to a file."""
    with Path(log).open("w") as file:
        return subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT)


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
    over_both = ["--out", "torn", "--backend", "ray", "--address", address, "--workers", "-1"]
    process = started([*study, *over_both], "torn.log")
    until(lambda: at_work(second) and len(results("torn")) >= 2)
    before = results("torn")
    assert len(before) < 10
    kill(second)
    assert process.wait(timeout=400) == 0, Path("torn.log").read_text()
    subprocess.run([*study, "--out", "whole"], check=True, capture_output=True)
    torn, whole = study_result.read_study_result(folder / "torn"), study_result.read_study_result(folder / "whole")
    assert torn.failures == ()
    assert torn.tables == whole.tables
    after = results("torn")
    assert len(after) == 12
    assert before.items() <= after.items()


def test_a_package_that_the_machines_of_a_cluster_lack_is_named(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    (tmp_path / "only_here.py").write_text("def task(job):\n    return job\n")
    monkeypatch.syspath_prepend(tmp_path)
    from only_here import task

    with pytest.raises(RuntimeError, match=r"cannot begin its job \(.*No module named 'only_here'\); install the same"):
        execute(task, [1, 2], Workers(2, "ray"), lambda *_: None)


def test_a_study_over_a_dask_cluster_comes_to_the_same(folder):
    pytest.importorskip("distributed")
    study = [str(BIN / "flatrec"), "study", "overall", "--data", "blocks", "--models", "lightgcn", "--seeds", "2"]
    study += ["--strategies", "plain,bsam", *SMALL, "--set", "training.epochs=5"]
    for out, more in (("dask", ["--backend", "dask", "--workers", "2"]), ("here", [])):
        assert started([*study, "--out", out, *more], f"{out}.log").wait(timeout=200) == 0, Path(
            f"{out}.log"
        ).read_text()
    assert (
        study_result.read_study_result(folder / "dask").tables == study_result.read_study_result(folder / "here").tables
    )


@pytest.fixture
def server():
    """A PostgreSQL server of its own."""
    with running_server() as made:
        yield made


@pytest.fixture
def database(server):
    """The URL of an empty database, and its server."""
    return server.url().replace("postgresql://", "postgresql+psycopg://"), server


def sweep_of(url, out):
    """A sweep of twelve trials that shares its store, as one machine starts it."""
    return [
        *(str(BIN / "flatrec"), "sweep", "--data", "blocks", "--model", "lightgcn", "--strategy", "sam", *SMALL),
        *("--set", "training.monitor=recall@5", "--space", "space.toml", "--sampler", "random", "--trials", "12"),
        *(
            "--set",
            "training.batch_size=64",
            "--set",
            "training.epochs=30",
            "--seeds",
            "2",
            "--storage",
            url,
            "--name",
            "shared",
            "--out",
            out,
        ),
    ]


def test_two_workers_share_a_sweep_on_postgresql_though_one_is_killed(folder, database):
    url, server = database
    (folder / "space.toml").write_text('"strategy.rho" = { low = 0.01, high = 1.0, log = true }\n')
    first, second = (started(sweep_of(url, out), f"{out}.log") for out in ("first", "second"))
    until(lambda: (results("first") and results("second")) or first.poll() or second.poll())
    assert (first.poll(), second.poll()) == (None, None), Path("first.log").read_text() + Path("second.log").read_text()
    until(lambda: len(list(Path("second").glob("runs/*/epochs.jsonl"))) > len(results("second")))
    kill(second)
    assert first.wait(timeout=300) == 0, Path("first.log").read_text()
    again = subprocess.run(sweep_of(url, "second"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    storage = optuna.storages.RDBStorage(url)
    (name,) = (one for one in optuna.get_all_study_names(storage) if one.startswith("shared"))
    trials = optuna.load_study(study_name=name, storage=storage).get_trials()
    storage.engine.dispose()
    ended = [one for one in trials if one.state.is_finished() and one.value is not None]
    assert len(ended) in (12, 13)  # two that see eleven at the same moment may both make one
    (dead,) = (one for one in trials if one.state.name == "FAIL")
    assert any(one.system_attrs.get("failed_trial") == dead.number for one in ended)
    assert len({one.params["strategy.rho"] for one in ended}) == len(ended)
    folders = {out: set(results(out)) for out in ("first", "second")}
    of_trials = {one.user_attrs["folder"] for one in ended}
    assert all(made & of_trials for made in folders.values())
    best = max(ended, key=lambda one: (one.value, one.user_attrs[TIE_BREAKER]))
    found = study_result.read_study_result(folder / "second")
    assert f"trial {best.number} of" in found.findings[0]
    assert {row[7] for row in found.tables[1].rows} == {2}
    server.stop()
    lost = subprocess.run(sweep_of(url, "third"), capture_output=True, text=True, check=False)
    assert lost.returncode != 0
    (line,) = lost.stderr.splitlines()
    assert line.startswith(f"flatrec: the store {url} cannot be reached or read")


def test_a_store_that_is_lost_in_the_middle_is_one_line(folder, database):
    url, server = database
    (folder / "space.toml").write_text('"strategy.rho" = [0.01, 0.1, 1.0]\n')
    process = started(sweep_of(url, "out"), "out.log")
    until(lambda: results("out") or process.poll())
    server.stop()
    code, said = process.wait(timeout=200), Path("out.log").read_text()
    assert code not in (0, None)
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"flatrec: the store {url} cannot be reached or read")
