"""Sweeps of several processes: one folder is one's own, one store may be shared."""

from __future__ import annotations

import sys
import time

import optuna
import pytest

from flatrec.cli import main
from flatrec.data.formats import mmrec
from flatrec.research.sweeps.sweep import STORE
from flatrec.testing import block_dataset
from tests.processes import LIMIT, Process


def prepare(folder, rates):
    mmrec.write(block_dataset(blocks=3, users=8, items=6), folder / "blocks")
    (folder / "space.toml").write_text(f'"optimizer.lr" = {rates}\n')


def sweep(folder, out, *words, trials=4):
    small = ("--model", "lightgcn", "--strategy", "plain", "--seeds", "1", "--space", folder / "space.toml")
    sets = ("--set", "model.embedding_dim=4", "--set", "training.epochs=2", "--set", "training.loggers=none")
    given = ("--data", folder / "blocks", "--sampler", "random", "--trials", trials, "--out", out)
    return [str(word) for word in ("sweep", *given, *small, *sets, *words)]


@pytest.fixture
def begin(tmp_path):
    """Starts a sweep in a process of its own."""
    prepare(tmp_path, "[0.001, 0.01]")
    running = []

    def start(out, *words, trials=4):
        words = sweep(tmp_path, out, *words, trials=trials)
        one = Process(*words, folder=tmp_path, logs=tmp_path / f"logs{len(running)}")
        running.append(one)
        return one

    yield start
    for one in running:
        one.kill()


def ended(process):
    done = process.ended()
    assert "Traceback" not in done.err
    assert "Cannot tell" not in done.err
    return done.code, done.out, done.err.strip().splitlines()


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
                "flatrec: another process runs a study or sweep in out; wait for it, or choose another folder"
            ]
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 4
    assert (tmp_path / "out" / "study.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_while_a_sweep_goes_on_another_is_refused_in_its_folder(begin, tmp_path):
    first = begin("out", trials=24)
    waited = time.monotonic() + LIMIT
    while not list((tmp_path / "out").glob("runs/*/result.json")):
        assert time.monotonic() < waited
        time.sleep(0.05)
    code, out, said = ended(begin("out", trials=24))
    assert first.runs
    assert (code, out) == (2, "")
    assert said == ["flatrec: another process runs a study or sweep in out; wait for it, or choose another folder"]
    assert ended(first)[0] == 0
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 24


@pytest.mark.slow
def test_two_folders_share_one_store(begin, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    both = [ended(one) for one in (begin("one", "--storage", url, trials=6), begin("two", "--storage", url, trials=6))]
    assert [code for code, _, _ in both] == [0, 0]
    assert states(url) == ["COMPLETE"] * 6
    chosen = [line for _, out, _ in both for line in out.splitlines() if "Chosen on validation" in line]
    assert len(chosen) == 2
    assert chosen[0] == chosen[1]


def test_trials_of_equal_settings_at_the_same_time_wait_for_one_another(tmp_path, capfd):
    prepare(tmp_path, "[0.02]")
    with pytest.raises(SystemExit) as stop:
        main(sweep(tmp_path, tmp_path / "out", "--workers", "2"))
    said = capfd.readouterr().err
    assert stop.value.code == 0, said
    assert "Traceback" not in said
    assert "Cannot tell" not in said
    assert states(f"sqlite:///{tmp_path / 'out' / STORE}") == ["COMPLETE"] * 4
    assert len(list(tmp_path.glob("out/runs/*/result.json"))) == 3  # of the trials one, and two that confirm it
