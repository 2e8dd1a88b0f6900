"""A process that has imported everything and done nothing, and makes a child for each command: ``python nursery.py``.

Threads do not survive a fork: a process that has read a table, as those of tests have, makes children that hang.

It reads a line of JSON a command, ``{"words": […], "logs": folder, "environment": {…}}``, answers with the child's
process id, and with its exit status when it has ended.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path

from flatrec.__main__ import main
from flatrec.cli.commands import COMMANDS
from flatrec.content import encoders
from tests.content.encoders.conftest import Colors, Lengths

FAILED_TO_START = 70
LARGEST_FILE = "FLATREC_TEST_LARGEST_FILE"  # bytes, where no small file system may be mounted


def child(words, logs, environment):
    """Be the command."""
    code = FAILED_TO_START
    try:
        os.setpgid(0, 0)
        os.environ.update(environment)
        if LARGEST_FILE in environment:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(environment[LARGEST_FILE]),) * 2)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(Path(logs) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["flatrec", *words]
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else FAILED_TO_START
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve():
    """Make children until the input ends."""
    for command in COMMANDS.values():
        import_module(command.target.partition(":")[0])
    for room in ("comparison", "sweeps", "studies.runner"):
        import_module(f"flatrec.research.{room}")
    for room in ("api", "inference.cold_start", "content.encode", "data.shop", "data.amazon.prepare"):
        import_module(f"flatrec.{room}")
    encoders.text_encoder = lambda _name, **_: Lengths("lengths")
    encoders.image_encoder = lambda _name, **_: Colors()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(**request)
        print(pid, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
