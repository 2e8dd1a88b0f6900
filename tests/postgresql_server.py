"""A PostgreSQL server of the test's own, from the programs that the system has installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "flatrec"  # a superuser without a password


@contextmanager
def running_server(*options):
    """Yield a server that runs until the block ends; the test is skipped where there is none."""
    pytest.importorskip("psycopg")
    server = Server(*options)
    try:
        server.start()
        yield server
    finally:
        server.close()


class Server:
    """A server with an empty database; it listens on a free port of this machine.

    Args:
        options: words for the server, such as ``-c fsync=off``, which is safe unless the machine itself stops.
    """

    def __init__(self, *options):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
        if not found[-1]:
            pytest.skip("no PostgreSQL server is installed")
        self.options = options
        self.programs = Path(found[-1]).parent
        self.folder = Path(tempfile.mkdtemp(prefix="flatrec-postgresql-"))
        self.as_user = []
        if os.getuid() == 0:  # as whom the server refuses to run
            shutil.chown(self.folder, "postgres")
            self.as_user = ["runuser", "-u", "postgres", "--"]
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self._run("initdb", "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")

    def url(self, user=USER, password=None, database="postgres"):
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def start(self):
        options = ["-p", self.port, "-k", self.folder, "-h", "127.0.0.1", *self.options]
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", " ".join(map(str, options)), "start")

    def stop(self, mode="immediate"):
        """Stop the server; ``immediate`` is what a machine that loses its power does."""
        self._run("pg_ctl", "-w", "-m", mode, "stop", check=False)

    def require_passwords(self, user):
        """Ask a user for a password from now on."""
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self._run("pg_ctl", "reload")

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program, *words, check=True):
        subprocess.run(
            [*self.as_user, self.programs / program, "-D", self.folder / "data", *words],
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
