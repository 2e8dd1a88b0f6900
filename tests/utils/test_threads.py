"""Threads that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from flatrec.utils.threads import Threads, wait_for


def test_results_are_in_the_order_of_what_was_given():
    with Threads(3) as threads:
        assert threads.map(lambda number: time.sleep(0.01 * (number % 3)) or number, range(12)) == list(range(12))


def test_no_more_are_at_work_than_was_said_and_all_end():
    before, most = set(threading.enumerate()), []  # those of other tests may be ending

    def new():
        return set(threading.enumerate()) - before

    with Threads(2) as threads:
        threads.map(lambda _number: most.append(len(new())) or time.sleep(0.01), range(9))
    assert max(most) == 2
    for _ in range(200):
        if not new():
            break
        time.sleep(0.01)
    assert not new()


def test_an_error_reaches_who_waits_and_cancels_what_was_not_begun():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.05)
        raise LookupError(number)

    with Threads(1) as threads, pytest.raises(LookupError, match="^0$"):
        threads.map(work, range(9))
    time.sleep(0.3)
    assert begun == list(range(len(begun)))
    assert len(begun) < 9


def test_waiting_ends_when_one_is_done_or_the_time_is_over():
    gate = threading.Event()
    with Threads(2) as threads:
        slow, quick = threads.submit(gate.wait, 20), threads.submit(int)
        assert wait_for([slow, quick], first=True) == {quick}
        assert wait_for([slow, quick], seconds=0.05) == {quick}
        gate.set()
        assert wait_for([slow, quick]) == {slow, quick}
    assert wait_for([]) == set()


INTERRUPTED = """
import signal
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # whatever a process inherits that is no terminal's
signal.signal(signal.SIGINT, signal.default_int_handler)
import os, polars, sys, threading, time
from flatrec.utils.threads import interruptible
polars.DataFrame({"a": [1]}).write_csv(sys.argv[1])
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    interruptible(lambda: time.sleep(60))
except KeyboardInterrupt:
    print(time.monotonic() - start)
"""


def test_an_interruption_ends_the_waiting_and_the_process(tmp_path):
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path / "a.csv"], capture_output=True, text=True, check=False, timeout=50
    )
    assert float(done.stdout.split()[0]) < 2
    assert time.monotonic() - start < 50
