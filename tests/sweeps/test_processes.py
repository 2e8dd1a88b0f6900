"""Sweeps of several processes: one folder is one's own, one store may be shared."""

from __future__ import annotations

import subprocess
import sys
import time

import optuna
import pytest

from flatrec.data.formats import mmrec
from flatrec.sweeps.sweep import STORE
from flatrec.testing import block_dataset

LIMIT = 120  # seconds


@pytest.fixture
def begin(tmp_path):
    """Starts a sweep in a process of its own."""
    mmrec.write(block_dataset(blocks=3, users=8, items=6), tmp_path / "blocks")
    (tmp_path / "space.toml").write_text('"optimizer.lr" = [0.001, 0.01]\n')
    running = []

    def start(out, *words, trials=4):
        small = ("--model", "lightgcn", "--strategy", "plain", "--seeds", "1", "--space", "space.toml")
        sets = ("--set", "model.dim=4", "--set", "training.epochs=2", "--set", "training.tensorboard=false")
        given = ("--data", "blocks", "--sampler", "random", "--trials", str(trials), "--out", out)
        code = "from flatrec.cli import main; main()"
        one = subprocess.Popen(
            [sys.executable, "-c", code, "sweep", *given, *small, *sets, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(one)
        return one

    yield start
    for one in running:
        if one.poll() is None:
            one.kill()
        one.communicate(timeout=LIMIT)


def ended(process):
    out, err = process.communicate(timeout=LIMIT)
    assert "Traceback" not in err
    assert "Cannot tell" not in err
    return process.returncode, out, err.strip().splitlines()


def states(url):
    (name,) = optuna.get_all_study_names(url)
    return [trial.state.name for trial in optuna.load_study(study_name=name, storage=url).trials]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_of_two_in_one_folder_one_is_refused_and_the_other_loses_nothing(begin, tmp_path):
    both = [ended(one) for one in (begin("out"), begin("out"))]
    codes = sorted(code for code, _, _ in both)
    assert codes in ([0, 2], [0, 0])  # the second may begin when the first has ended
    for code, _, said in both:
        if code == 2:
            assert said == [
                "flatrec: another process carries out a study or sweep in out; wait for it, or choose another folder"
            ]
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 4
    assert (tmp_path / "out" / "study.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_while_a_sweep_goes_on_another_is_refused_in_its_folder(begin, tmp_path):
    first = begin("out", trials=60)
    waited = time.monotonic() + LIMIT
    while not list((tmp_path / "out").glob("runs/*/result.json")):
        assert time.monotonic() < waited
        time.sleep(0.05)
    code, out, said = ended(begin("out", trials=60))
    assert first.poll() is None
    assert (code, out) == (2, "")
    assert said == [
        "flatrec: another process carries out a study or sweep in out; wait for it, or choose another folder"
    ]
    assert ended(first)[0] == 0
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 60


def test_two_folders_share_one_store(begin, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    both = [ended(one) for one in (begin("one", "--storage", url, trials=6), begin("two", "--storage", url, trials=6))]
    assert [code for code, _, _ in both] == [0, 0]
    assert states(url) == ["COMPLETE"] * 6
    chosen = [line for _, out, _ in both for line in out.splitlines() if "Chosen on validation" in line]
    assert len(chosen) == 2
    assert chosen[0] == chosen[1]


def test_trials_of_equal_settings_at_the_same_time_wait_for_one_another(begin, tmp_path):
    (tmp_path / "space.toml").write_text('"optimizer.lr" = [0.01]\n')
    code, _, _ = ended(begin("out", "--jobs", "2", trials=4))
    assert code == 0
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 4
    assert len(list(tmp_path.glob("out/runs/*/result.json"))) == 3  # of the trials one, and two that confirm it
