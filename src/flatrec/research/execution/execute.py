"""Do all jobs, even if workers die."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from types import ModuleType
from typing import cast

from flatrec.research.execution.workers import BrokenPoolError, Done, Job, JobResult, Workers, ignore

MAX_BROKEN_POOLS = 3  # after so many broken pools, each job that is left gets a pool of its own

logger = logging.getLogger(__name__)


class Lost:
    """Result of a job whose worker died every time."""

    error = f"its worker died {MAX_BROKEN_POOLS + 1} times; is there enough memory?"


def execute(
    task: Callable[[Job], Done],
    jobs: Sequence[Job],
    workers: Workers,
    on_done: Callable[[Job, Done | Lost], None],
    *,
    on_begin: Callable[[Job], None] = ignore,
) -> None:
    """Do all jobs, in any order.

    A job must be safe to repeat: if a worker dies, its job is done again by another worker. With one job at a time on
    this machine, all jobs are done in this process.

    Args:
        task: function at the top level of a module; an exception that it raises is raised here and ends everything.
        jobs: arguments of the task, one per call.
        workers: processes or cluster that do the jobs.
        on_done: called in this process as jobs end, with the job and its result.
        on_begin: called in this process, maybe from another thread, as jobs are given to a worker.

    Raises:
        ModuleNotFoundError: the backend is not installed; the message names the extra.
        ConnectionError: the cluster cannot be reached.
    """
    if workers.backend == "local" and workers.n_workers == 1:
        for job in jobs:
            on_begin(job)
            on_done(job, task(job))
        return
    left = dict(enumerate(jobs))

    def do(some: dict[int, Job]) -> None:
        results = partial(_pool(workers).results, task, dict(some), workers, on_begin)
        _take(results, some, on_done)

    with _pool(workers).connected(workers):
        for _ in range(MAX_BROKEN_POOLS):
            do(left)
        for index in list(left):  # a job that kills its worker now takes no other job with it
            alone = {index: left.pop(index)}
            do(alone)
            for job in alone.values():
                on_done(job, Lost())


def _take(
    results: Callable[[], Generator[JobResult[Done], None, None]],
    left: dict[int, Job],
    on_done: Callable[[Job, Done | Lost], None],
) -> None:
    """Take the results of the jobs that are left, and remove those that are done; a broken pool leaves the others."""
    if not left:
        return
    try:
        with closing(results()) as ended:
            for result in ended:
                if result.error is not None:
                    raise result.error
                on_done(left.pop(result.index), cast(Done, result.done))
    except BrokenPoolError as error:
        logger.warning("a worker died (%s); its job is done again", error)


def _pool(workers: Workers) -> ModuleType:
    from flatrec.research.execution import joblib_pool, ray_pool

    return ray_pool if workers.backend == "ray" else joblib_pool
