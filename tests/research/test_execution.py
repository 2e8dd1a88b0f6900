"""Jobs are all done, once each, whoever dies."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from flatrec.research.execution import Lost, Workers, execute, joblib_pool


class Job(NamedTuple):
    number: int
    folder: Path


def squared(job):
    (job.folder / f"{job.number}").touch()
    return job.number**2


def threads(_):
    return torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")


def killed_once(job):
    """The job numbered 3 takes its worker with it the first time."""
    mark = job.folder / "killed"
    if job.number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job.number


def killed_always(job):
    if job.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.number


def wrong(job):
    raise TypeError(f"job {job.number} has a bug")


def done(task, jobs, workers):
    ended = {}
    execute(task, jobs, workers, lambda job, result: ended.__setitem__(job, result))
    return ended


@pytest.mark.parametrize("count", [1, 2])
def test_every_job_is_done_once(tmp_path, count):
    jobs = [Job(number, tmp_path) for number in range(5)]
    assert done(squared, jobs, Workers(count)) == {job: job.number**2 for job in jobs}
    assert len(list(tmp_path.iterdir())) == 5


def test_no_job_is_no_work():
    assert done(squared, [], Workers(2)) == {}


def test_each_job_gets_its_share_of_the_threads():
    share = max(1, (os.cpu_count() or 1) // 2)
    assert set(done(threads, [0, 1], Workers(2)).values()) == {(share, str(share))}


def test_a_job_whose_worker_dies_is_done_again(tmp_path):
    jobs = [Job(number, tmp_path) for number in range(5)]
    assert done(killed_once, jobs, Workers(2)) == {job: job.number for job in jobs}


def test_a_job_that_always_kills_its_worker_is_lost_alone(tmp_path):
    jobs = [Job(number, tmp_path) for number in range(4)]
    ended = done(killed_always, jobs, Workers(2))
    assert isinstance(ended.pop(jobs[1]), Lost)
    assert ended == {job: job.number for job in jobs if job.number != 1}


# A thread of joblib's executor may still look for a job that the error has just taken from the queue (joblib 1.6).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("count", [1, 2])
def test_a_bug_in_a_job_comes_out(tmp_path, count):
    with pytest.raises(TypeError, match="has a bug"):
        done(wrong, [Job(0, tmp_path), Job(1, tmp_path)], Workers(count))


@pytest.mark.parametrize(("jobs", "backend"), [(0, "local"), (-1, "local"), (-2, "ray")])
def test_a_number_of_jobs_that_is_none_is_refused(jobs, backend):
    with pytest.raises(ValueError, match="workers must be at least 1"):
        Workers(jobs, backend)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="local, ray, dask, but is 'spark'"):
        Workers(2, "spark")


@pytest.mark.parametrize(("backend", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_backend_that_is_not_installed_names_its_extra(monkeypatch, backend, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'flatrec\[{backend}\]'"):
        done(threads, [0, 1], Workers(2, backend))


MASKS = """
import signal
from flatrec.research.execution import Workers, execute

def blocked(_):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

if __name__ == "__main__":
    execute(blocked, [0, 1], Workers(2), lambda _, answer: print(answer))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
def test_workers_never_receive_the_interrupt_of_a_terminal():
    # In a process that has started no other: Python's own helper of processes unblocks signals when it is started.
    done = subprocess.run([sys.executable, "-c", MASKS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


class Interrupting(dict):
    """Jobs on whose way to the workers Ctrl-C is pressed."""

    def items(self):
        os.kill(os.getpid(), signal.SIGINT)
        return super().items()


@pytest.fixture
def interruptible():
    """A child of a shell's background job would ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_workers_start_is_silent_on_abandoned_jobs():
    with warnings.catch_warnings(record=True) as said, joblib_pool.connected(Workers(2)):
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            next(joblib_pool.results(time.sleep, Interrupting({0: 30, 1: 30}), Workers(2)))
        gc.collect()
    assert [str(one.message) for one in said] == []
