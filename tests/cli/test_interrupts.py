"""Ctrl-C and SIGTERM at any moment of real processes: one line, the right exit code, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from flatrec.utils import interrupts
from flatrec.utils.interrupts import Guard

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has other signals")

STARTED = """
import sys
from flatrec.__main__ import main
print("started", flush=True)
main()
"""
LONG = ("--set", "training.epochs=100000", "--set", "training.patience=100000", "--set", "training.loggers=none")
LONG += ("--set", "training.monitor=ndcg@20")


def listening():
    """A child of a shell's background job would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stopped(words, delay, *numbers, group=False, code=STARTED, until=lambda: True):
    """What a command says that gets signals so many seconds after it began, and not before something is so.

    It has ended when all processes have ended that write where it writes, its workers among them.
    """
    command = [sys.executable, "-c", code, *map(str, words)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **streams, start_new_session=True, preexec_fn=listening) as child:
        try:
            assert child.stdout.readline() == "started\n"
            time.sleep(delay)
            for _ in range(1200):
                if until():
                    break
                time.sleep(0.1)
            for number in numbers or [signal.SIGINT]:
                (os.killpg if group else os.kill)(child.pid, number)
                time.sleep(0.05)  # equal signals at one moment are one
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
    return child.returncode, said


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.9, 2.0])
def test_an_interrupt_while_a_command_imports_is_one_line(tmp_path, delay):
    code, said = stopped(["train", "--data", "shop", "--model", "bpr", *LONG, "--out", tmp_path / "run"], delay)
    assert code == 130
    assert said.startswith("flatrec: interrupted")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("delay", [0.1, 0.7])
def test_an_interrupt_of_a_list_is_one_line(delay):
    assert stopped(["list", "strategies"], delay) == (130, "flatrec: interrupted\n")


def test_an_interrupt_while_training_says_how_to_go_on(blocks, tmp_path):
    records = tmp_path / "run" / "epochs.jsonl"
    words = ["train", "--data", blocks, "--model", "bpr", *LONG, "--out", tmp_path / "run"]
    code, said = stopped(words, 0, until=lambda: records.exists() and len(records.read_text().splitlines()) > 3)
    assert (code, said.splitlines()[-1]) == (130, "flatrec: interrupted; continue with --resume")
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "result.json").exists()
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_signal_to_end_is_answered_like_an_interrupt(tmp_path):
    words = ["train", "--data", "shop", "--model", "bpr", *LONG, "--out", tmp_path / "run"]
    code, said = stopped(words, 1, signal.SIGTERM)
    assert code == 143
    assert said.startswith("flatrec: terminated")
    assert len(said.splitlines()) == 1


@pytest.fixture
def study(blocks, tmp_path):
    """The words of a study with two workers that trains for days, and the records of the epochs of its runs."""
    words = ["study", "overall", "--data", blocks, "--models", "bpr", "--workers", 2, *LONG, "--out", tmp_path / "out"]
    return words, lambda: {path: path.read_text() for path in (tmp_path / "out").glob("runs/*/epochs.jsonl")}


def both_train(records):
    return len(records) >= 2 and all(len(text.splitlines()) > 3 for text in records.values())


def test_an_interrupt_of_a_study_with_workers_is_one_line(study):
    words, records = study  # as a terminal sends it, to the workers too
    code, said = stopped(words, 1, group=True, until=lambda: both_train(records()))
    assert code == 130
    *progress, last = said.splitlines()
    assert last == "flatrec: interrupted; run the same command again to continue"
    assert progress[0] == "study overall: 20 runs to make"
    assert all(line.endswith(" begins") for line in progress[1:])


def test_a_second_interrupt_leaves_no_worker(study):
    words, records = study
    code, said = stopped(words, 1, signal.SIGINT, signal.SIGINT, group=True, until=lambda: both_train(records()))
    assert code == 130
    assert "flatrec: interrupted; run the same command again to continue" in said.splitlines()
    assert "Traceback" not in said  # joblib may say what it had no time to remove


def test_the_workers_of_a_study_that_is_killed_end(study):
    words, records = study
    code, _ = stopped(words, 1, signal.SIGKILL, until=lambda: both_train(records()))
    assert code == -signal.SIGKILL


def test_an_interrupt_while_the_process_ends_is_one_line():
    script = """
import atexit, os, sys, time
from flatrec.__main__ import main
atexit.register(time.sleep, 30)
atexit.register(os.write, 1, b"started\\n")
sys.argv = ["flatrec", "bogus"]
main()
"""
    code, said = stopped([], 0.2, code=script)
    assert code == 130
    assert said.splitlines() == ["flatrec: No such command 'bogus'.", "flatrec: interrupted"]


def test_an_interrupt_that_a_library_swallows_ends_the_process_the_second_time():
    script = """
import os, time
from flatrec.utils.interrupts import Guard
guard = Guard(["train"])
guard.install()
guard.working = True
os.write(1, b"started\\n")
try:
    time.sleep(30)
except KeyboardInterrupt:
    os.kill(os.getpid(), 2)
    time.sleep(30)
"""
    assert stopped([], 0.2, code=script) == (130, "flatrec: interrupted; continue with --resume\n")


def test_an_interrupt_where_no_exception_can_be_raised_ends_the_process():
    script = """
import os, time
from flatrec.utils.interrupts import Guard
guard = Guard(["train"])
guard.install()
guard.working = True

class Deaf:
    def __del__(self):
        os.write(1, b"started\\n")
        time.sleep(30)

Deaf()
time.sleep(30)
"""
    assert stopped([], 0.2, code=script) == (130, "flatrec: interrupted; continue with --resume\n")


def test_a_signal_that_the_parent_ignores_stays_ignored():
    script = """
import signal
from flatrec.utils.interrupts import Guard
signal.signal(signal.SIGINT, signal.SIG_IGN)
Guard([]).install()
assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_an_interrupt_turns_into_is_still_an_interrupt(flatrec, monkeypatch):
    def garbled(*_):
        guards[0].code = interrupts.INTERRUPTED
        raise SystemError("error return without exception set")

    guards = []
    monkeypatch.setattr("flatrec.cli.Guard", lambda words: guards.append(Guard(words)) or guards[0])
    monkeypatch.setattr("flatrec.api.load", garbled)
    outcome = flatrec("compare", "--out", "nowhere")
    assert (outcome.code, outcome.err.strip()) == (
        130,
        "flatrec: interrupted; run the same command without --overwrite to continue",
    )


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2, 0.4, 0.7, 1, 1.4, 1.9, 2.5, 3, 3.5, 4, 5, 6])
@pytest.mark.parametrize("group", [False, True])
def test_an_interrupt_at_any_moment_is_one_line(blocks, tmp_path, delay, group):
    words = ["study", "overall", "--data", blocks, "--models", "bpr", "--workers", 2, *LONG, "--out", tmp_path / "out"]
    code, said = stopped(words, delay, group=group)
    assert code == 130
    *progress, last = said.splitlines()
    assert last.startswith("flatrec: interrupted")
    assert all(line.endswith((" begins", "runs to make")) for line in progress)
