"""Workers: who does the jobs, what a worker is sent, and what it sends back."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from flatrec.utils import devices, user_classes

Job = TypeVar("Job")
Done = TypeVar("Done")

BACKENDS = ("local", "ray", "dask")


@dataclass(frozen=True)
class Workers:
    """Processes or cluster that do the jobs.

    Args:
        n_workers: number of jobs at the same time; on a cluster, -1 stands for one per core.
        backend: ``local`` for processes on this machine, ``ray`` or ``dask`` for a cluster, all of whose machines must
            see the folders that jobs write to.
        address: address of the cluster; None for one that Ray or Dask finds by itself, or starts here.

    Raises:
        ValueError: a value is out of range.
    """

    n_workers: int = 1
    backend: str = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, but is {self.backend!r}")
        if self.n_workers < 1 and (self.n_workers != -1 or self.backend == "local"):
            raise ValueError(f"workers must be at least 1, but is {self.n_workers}")

    @property
    def threads(self) -> int:
        """Number of threads per job: the cores of this machine divided by the workers; on a cluster, one."""
        return max(1, (os.cpu_count() or 1) // self.n_workers) if self.backend == "local" else 1


@dataclass(frozen=True)
class JobResult(Generic[Done]):
    """What a worker sends back.

    Args:
        index: index of the job.
        done: value that the task returned.
        error: exception that the task raised; sent as a value, it is not mistaken for that of a broken pool.
    """

    index: int
    done: Done | None
    error: BaseException | None = None


class BrokenPoolError(Exception):
    """A pool lost a worker, and with it the job of that worker."""


@dataclass(frozen=True)
class JobRequest(Generic[Job, Done]):
    """What a worker is sent.

    Args:
        index: index of the job.
        job: argument of the task.
        task: function at the top level of a module.
        threads: number of threads that it may use.
        folder: folder that relative paths start from.
        classes: the user's own classes that were named in the process that sends.
    """

    index: int
    job: Job
    task: Callable[[Job], Done]
    threads: int
    folder: str
    classes: tuple[user_classes.Origin, ...] = ()

    @classmethod
    def all(
        cls, task: Callable[[Job], Done], jobs: Mapping[int, Job], threads: int, on_begin: Callable[[Job], None]
    ) -> Iterator[JobRequest[Job, Done]]:
        """Yield one request per job, which is then given to a worker; relative paths mean the same as here."""
        here, classes = os.getcwd(), user_classes.origins()
        for index, job in jobs.items():
            on_begin(job)
            yield cls(index, job, task, threads, here, classes)


def ignore(job: object) -> None:
    """Tell nobody that a job has begun."""


def do_job(request: JobRequest[Job, Done]) -> JobResult[Done]:
    """Do one job, in a worker."""
    torch.set_num_threads(request.threads)
    devices.take_turns(request.index)
    try:
        _enter(request.folder)
        user_classes.take(request.classes)
        return JobResult(request.index, request.task(request.job))
    except BaseException as error:  # it is raised again in the process that waits
        return JobResult(request.index, None, error)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConnectionError(
            f"a worker on {platform.node()} cannot enter {folder} ({error.strerror}); all machines of a cluster must "
            "see the same folders"
        ) from None
