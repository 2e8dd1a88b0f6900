"""Commands in processes of their own, forked by a server that has all imports behind it and has no threads yet."""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT = 120  # seconds
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "flatrec.cli.app",
        "flatrec.cli.sweep",
        "flatrec.research.sweeps.sweep",
        "flatrec.api",
        "flatrec.refresh",
        "flatrec.models.lightgcn",
        "tests.data.fetching.test_download",
        "tests.parallel.case",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Process:
    """A command that has begun."""

    def __init__(self, *words, folder, logs):
        self.logs = Path(logs)
        self.logs.mkdir(parents=True)
        self._child = SERVER.Process(target=_run, args=(list(map(str, words)), str(folder), str(logs)))
        self._child.start()

    @property
    def runs(self):
        return self._child.is_alive()

    def kill(self):
        self._child.kill()
        self._child.join(LIMIT)

    def ended(self):
        """Wait for the end."""
        self._child.join(LIMIT)
        assert self._child.exitcode is not None, "the command hangs"
        return Ended(self._child.exitcode, (self.logs / "out").read_text(), (self.logs / "err").read_text())


def _run(words, folder, logs):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(logs) / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.chdir(folder)
    from flatrec.cli import main

    main(words)
