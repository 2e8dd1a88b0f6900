"""Several processes that answer at one socket: those that die are started again, and all end together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import TypeAlias

from flatrec.utils.interrupts import defer_interrupts
from flatrec.utils.messages import message

FAILED_TO_START = 3  # the exit code of a worker that cannot begin, so that it is not begun again and again
LOOK_SECONDS = 0.5  # between two looks at signals
RESTART_SECONDS = 1.0  # before a worker is started in the place of one that died
LEEWAY = 5.0  # seconds beyond those that a worker has for its end

Work: TypeAlias = Callable[[socket.socket], None]

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Supervisor:
    """The process that starts the others.

    Args:
        work: what each of them does; it is pickled, and returns after SIGTERM.
        listening: the socket that they share.
        count: number of them.
        seconds: time that they have to end.
    """

    work: Work
    listening: socket.socket
    count: int
    seconds: float
    _stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        """Keep the processes running until SIGTERM or Ctrl-C.

        Raises:
            OSError: a process cannot begin; what is wrong stands on standard error.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        workers = [self._started() for _ in range(self.count)]
        try:
            while not self._stopping:
                connection.wait([worker.sentinel for worker in workers], LOOK_SECONDS)
                workers = [worker if worker.is_alive() else self._restarted(worker) for worker in workers]
        finally:
            self.listening.close()  # as long as one process has it open, clients can connect and wait in vain
            _end(workers, self.seconds + LEEWAY)

    def _started(self) -> SpawnProcess:
        worker = multiprocessing.get_context("spawn").Process(target=_run, args=(self.work, self.listening))
        with defer_interrupts():
            worker.start()
        return worker

    def _restarted(self, worker: SpawnProcess) -> SpawnProcess:
        if self._stopping:
            return worker
        if worker.exitcode == FAILED_TO_START:
            raise OSError("a worker could not begin, so the service ends; the line above says why")
        logger.warning("worker %s died (exit code %s) and is started again", worker.pid, worker.exitcode)
        time.sleep(RESTART_SECONDS)
        return self._started()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True


def _end(workers: list[SpawnProcess], seconds: float) -> None:
    """Let all processes end, and kill those that do not in time."""
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + seconds
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()


def _run(work: Work, listening: socket.socket) -> None:
    """Work in a process of its own, until SIGTERM, or until the process that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one tells the others
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        work(listening)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"flatrec: {message(error)}\n")
        sys.exit(FAILED_TO_START)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
