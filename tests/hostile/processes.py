"""Commands in processes of their own, which may be killed, interrupted, or out of disk space at any moment."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120  # seconds after which a command counts as hanging
ROOT = Path(__file__).parents[2]


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


class Nursery:
    """Makes processes; see :mod:`tests.hostile.nursery`."""

    def __init__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
        command = [sys.executable, "-m", "tests.hostile.nursery"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        cwd=ROOT, env=environment)  # fmt: skip

    def close(self):
        self.process.kill()
        self.process.communicate()


class Command:
    """A command that has begun, with all imports behind it."""

    def __init__(self, nursery, *words, logs, environment=None):
        self.nursery = nursery
        self.words = tuple(map(str, words))
        self.logs = Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in ("out", "err"):
            (self.logs / name).write_text("")
        request = {"words": self.words, "logs": str(self.logs), "environment": environment or {}}
        nursery.process.stdin.write(json.dumps(request) + "\n")
        nursery.process.stdin.flush()
        self.pid = int(nursery.process.stdout.readline())
        self.begun = time.perf_counter()

    def send(self, number):
        """Send a signal to the command and whatever it started; nothing where it has ended."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def ended(self, patience=PATIENCE):
        """Wait for the end; what hangs is killed and fails the test."""
        answers = self.nursery.process.stdout
        in_time = bool(select.select([answers], [], [], patience)[0])
        self.send(signal.SIGKILL)  # what hangs, or what it may have left running
        code = int(answers.readline())
        assert in_time, f"{' '.join(self.words)} hangs"
        texts = [(self.logs / name).read_text(errors="replace") for name in ("out", "err")]
        return Ended(self.words, code, *texts, time.perf_counter() - self.begun)


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
