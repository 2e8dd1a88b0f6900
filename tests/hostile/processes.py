"""Commands in processes of their own, which may be killed, interrupted, or out of disk space at any moment."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flatrec.cli import main

PATIENCE = 120  # seconds after which a command counts as hanging


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (minus the signal's number where one killed it) and what it wrote."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self):
        """The lines for the user, warnings left out."""
        return [line for line in self.err.splitlines() if line.startswith("flatrec: ")]


class Command:
    """A command that has begun in a child of this process, which has all imports behind it."""

    def __init__(self, *words, logs, prepare=None):
        self.words = tuple(map(str, words))
        self.logs = Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.begun = time.perf_counter()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(prepare)

    def _child(self, prepare):
        code = 70
        try:
            os.setpgid(0, 0)
            for number, name in ((1, "out"), (2, "err")):
                descriptor = os.open(self.logs / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(descriptor, number)
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if prepare is not None:
                prepare()
            main(list(self.words))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 71
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def send(self, number):
        """Send a signal to the command and whatever it started; nothing where it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def ended(self, patience=PATIENCE):
        """Wait for the end; what hangs is killed and fails the test."""
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.send(signal.SIGKILL)  # what it may have left running
                texts = [(self.logs / name).read_text(errors="replace") for name in ("out", "err")]
                return Ended(self.words, os.waitstatus_to_exitcode(status), *texts, time.perf_counter() - self.begun)
            time.sleep(0.005)
        self.send(signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"{' '.join(self.words)} hangs")


def run(*words, logs, prepare=None):
    """A command from its begin to its end."""
    return Command(*words, logs=logs, prepare=prepare).ended()


def check_line(ended, *codes):
    """What a user sees of a failure: an expected exit code, one line, no traceback, no long text."""
    about = f"{' '.join(ended.words)}\nexit code {ended.code}\n{ended.err[-3000:]}"
    assert "Traceback" not in ended.err, about
    assert ended.code in codes, about
    if ended.code != 0:
        assert len(ended.said) == 1, about
        assert len(ended.said[0]) <= 520, about


def leftovers(*folders):
    """Temporary files that nobody will use again."""
    return [path for folder in folders for path in Path(folder).rglob(".flatrec-*.tmp")]
