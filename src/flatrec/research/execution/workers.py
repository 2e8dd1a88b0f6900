"""Who does jobs, and what a worker sends back."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Generic, TypeVar

import torch

from flatrec.utils import user_classes

Job = TypeVar("Job")
Done = TypeVar("Done")

BACKENDS = ("local", "ray", "dask")


@dataclass(frozen=True)
class Workers:
    """Who does the jobs.

    Args:
        jobs: at once. On a cluster -1 stands for as many as it has cores.
        backend: ``local`` for processes on this machine, ``ray`` or ``dask`` for a cluster, all of whose machines must
            see the folders that jobs write to.
        address: of the cluster; None for one that is found by its own means, or started here.

    Raises:
        ValueError: a value is out of range.
    """

    jobs: int = 1
    backend: str = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, but is {self.backend!r}")
        if self.jobs < 1 and (self.jobs != -1 or self.backend == "local"):
            raise ValueError(f"jobs must be at least 1, but is {self.jobs}")

    @property
    def threads(self) -> int:
        """A job's share of the cores of its machine; on a cluster, where each core gets a job, it is one."""
        return max(1, (os.cpu_count() or 1) // self.jobs) if self.backend == "local" else 1


@dataclass(frozen=True)
class Numbered(Generic[Done]):
    """What a worker sends back: which job it was, and what came of it.

    Args:
        number: of the job.
        done: what the task returned.
        bug: what it raised instead; by coming as a value it is told from what a broken pool raises.
    """

    number: int
    done: Done | None
    bug: BaseException | None = None


class BrokenPoolError(Exception):
    """A pool lost a worker, and with it what that was doing."""


@dataclass(frozen=True)
class Sent(Generic[Job, Done]):
    """What a worker is sent.

    Args:
        number: of the job.
        job: what the task is called with.
        task: a function at the top of a module.
        threads: that it may use.
        folder: that relative paths start from.
        classes: of the user's own, that were named in the process that sends.
    """

    number: int
    job: Job
    task: Callable[[Job], Done]
    threads: int
    folder: str
    classes: tuple[user_classes.Origin, ...] = ()

    @classmethod
    def all(cls, task: Callable[[Job], Done], jobs: Mapping[int, Job], threads: int) -> Iterator[Sent[Job, Done]]:
        """One of each job; relative paths mean the same as here."""
        here, classes = os.getcwd(), user_classes.origins()
        return (cls(number, job, task, threads, here, classes) for number, job in jobs.items())


def carried(sent: Sent[Job, Done]) -> Numbered[Done]:
    """Do one job, in a worker."""
    torch.set_num_threads(sent.threads)
    try:
        _enter(sent.folder)
        user_classes.take(sent.classes)
        return Numbered(sent.number, sent.task(sent.job))
    except BaseException as error:  # noqa: BLE001 - it is raised again in the process that waits
        return Numbered(sent.number, None, error)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConnectionError(
            f"a worker on {platform.node()} cannot enter {folder} ({error.strerror}); all machines of a cluster must "
            "see the same folders"
        ) from None


def extra(module: str, name: str) -> ModuleType:
    """A module that comes with an extra.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"the backend {name} is not installed; pip install 'flatrec[{name}]'") from None
