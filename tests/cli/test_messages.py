"""--quiet and --log-file: what commands say, and where."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flatrec.cli import messages
from tests.cli.conftest import SMALL

TRAIN = ("train", "--model", "lightgcn", *SMALL)
FULL = Path("/dev/full")
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) .+")


def test_quiet_leaves_progress_out_and_keeps_results(flatrec, blocks, tmp_path):
    loud = flatrec(*TRAIN, "--data", blocks, "--out", tmp_path / "loud")
    calm = flatrec("--quiet", *TRAIN, "--data", blocks, "--out", tmp_path / "calm")
    assert "lightgcn plain · epoch 1/2" in loud.err
    assert calm.err == ""
    assert calm.out.replace("calm", "loud") == loud.out


def test_quiet_keeps_warnings_and_errors(flatrec, blocks, tmp_path):
    monitored = ("--set", "training.monitor=recall@20")  # of lists that hold all items of the tiny data
    assert "monitored instead" in flatrec(*TRAIN, *monitored, "--data", blocks, "--out", tmp_path / "a", "--quiet").err
    refused = flatrec("train", "--quiet", "--data", tmp_path / "nothing", "--out", tmp_path / "b")
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_the_log_file_gets_progress_warnings_and_errors(flatrec, blocks, tmp_path, quiet):
    log = tmp_path / "logs" / "night.log"
    monitored = ("--set", "training.monitor=recall@20")
    assert flatrec(*quiet, *TRAIN, *monitored, "--data", blocks, "--out", tmp_path / "a", "--log-file", log).code == 0
    first = log.read_text()
    assert all(LINE.fullmatch(line) for line in first.splitlines())
    for part in ("train begins", "INFO lightgcn plain · epoch 1/2", "WARNING", "INFO ended with exit code 0"):
        assert part in first
    assert flatrec("data", "info", tmp_path / "nothing", *quiet, f"--log-file={log}").code == 2
    second = log.read_text().removeprefix(first)
    assert re.search(r"ERROR .*nothing", second)
    assert "Traceback" in second
    assert str(blocks) not in second


def test_words_of_the_command_are_not_logged(flatrec, tmp_path):
    storage = "postgresql://me:secret@localhost/x"
    flatrec("sweep", "--storage", storage, "--trials", "many", "--out", tmp_path, "--log-file", tmp_path / "a.log")
    logged = (tmp_path / "a.log").read_text()
    assert "sweep begins" in logged
    assert "--trials" in logged
    assert "secret" not in logged


@pytest.mark.parametrize("words", [("--log-file",), ("--log-file="), ("--log-file", " ")])
def test_a_log_file_needs_a_name(flatrec, words):
    given = (words,) if isinstance(words, str) else words
    refused = flatrec("list", "models", *given)
    assert (refused.code, refused.err) == (2, "flatrec: --log-file is empty; give a file, or leave it out\n")


def test_another_option_is_not_taken_for_the_log_file(flatrec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = flatrec("list", "--log-file", "--json", "models")
    said = "flatrec: --log-file is followed by the option --json; give a file, or leave it out\n"
    assert (refused.code, refused.err, list(tmp_path.iterdir())) == (2, said, [])


def test_a_log_file_that_cannot_be_opened_is_refused(flatrec, tmp_path):
    refused = flatrec("list", "models", "--log-file", tmp_path)
    assert refused.code == 2
    assert str(tmp_path) in refused.err
    assert refused.out == ""


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_a_full_disk_ends_no_command(flatrec, blocks, tmp_path):
    done = flatrec(*TRAIN, "--data", blocks, "--out", tmp_path / "run", "--log-file", FULL, "--quiet")
    assert done.code == 0
    assert done.err.splitlines() == [
        "/dev/full cannot be written to (No space left on device); the command goes on without it"
    ]


def test_what_stands_behind_two_hyphens_is_a_word(flatrec):
    assert "--quiet" in flatrec("data", "info", "--", "--quiet").err


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_a_bar_unless_it_is_quiet(blocks, tmp_path, quiet):
    words = [*TRAIN, "--data", blocks, "--out", tmp_path / "run", "--log-file", tmp_path / "a.log"]
    code = "from flatrec.__main__ import main; main()"
    ours, theirs = pty.openpty()
    given = [sys.executable, "-c", code, *map(str, words), *(["--quiet"] if quiet else [])]
    with subprocess.Popen(
        given, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert child.returncode == 0
    assert ("epoch 2/2" in shown.decode()) is not quiet
    assert "lightgcn plain · epoch 1/2" in (tmp_path / "a.log").read_text()


def test_library_records_reach_no_terminal_without_a_log_file(capsys):
    messages.configure(quiet=False, log_file=None)
    assert not messages.logging.getLogger("flatrec.training").isEnabledFor(messages.logging.INFO)
    messages.print_progress("a line")
    assert capsys.readouterr().err == "a line\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
def test_the_exit_code_is_the_same_where_standard_error_is_closed(tmp_path):
    code = "from flatrec.__main__ import main; main()"
    given = [sys.executable, "-c", code, "data", "info", str(tmp_path / "nothing")]
    assert subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *given], check=False).returncode == 2


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-"])
def test_a_command_whose_standard_error_takes_nothing_does_its_work(blocks, tmp_path, stream):
    code = "from flatrec.__main__ import main; main()"
    given = [sys.executable, "-c", code, *map(str, (*TRAIN, "--data", blocks, "--out", tmp_path / "run"))]
    done = subprocess.run(["sh", "-c", f'exec "$@" {stream}', "sh", *given], check=False, timeout=120)
    assert done.returncode == 0
    assert (tmp_path / "run" / "result.json").is_file()
