"""Do all jobs, even if workers die."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from types import ModuleType

from flatrec.research.execution.workers import BrokenPoolError, Done, Job, Workers

MAX_BROKEN_POOLS = 3  # after so many broken pools, each job that is left gets a pool of its own

logger = logging.getLogger(__name__)


class Lost:
    """Result of a job whose worker died every time."""

    error = f"its worker died {MAX_BROKEN_POOLS + 1} times; is there enough memory?"


def execute(
    task: Callable[[Job], Done], jobs: Sequence[Job], workers: Workers, on_done: Callable[[Job, Done | Lost], None]
) -> None:
    """Do all jobs, in any order.

    A job must be safe to repeat: if a worker dies, its job is done again by another worker. With one job at a time on
    this machine, all jobs are done in this process.

    Args:
        task: function at the top level of a module; an exception that it raises is raised here and ends everything.
        jobs: arguments of the task, one per call.
        workers: processes or cluster that do the jobs.
        on_done: called in this process as jobs end, with the job and its result.

    Raises:
        ModuleNotFoundError: the backend is not installed; the message names the extra.
        ConnectionError: the cluster cannot be reached.
    """
    if workers.backend == "local" and workers.n_workers == 1:
        for job in jobs:
            on_done(job, task(job))
        return
    left = dict(enumerate(jobs))
    with _pool(workers).connected(workers):
        for _ in range(MAX_BROKEN_POOLS):
            _do(task, left, workers, on_done)
        for index in list(left):  # a job that kills its worker now takes no other job with it
            alone = {index: left.pop(index)}
            _do(task, alone, workers, on_done)
            for job in alone.values():
                on_done(job, Lost())


def _do(
    task: Callable[[Job], Done], left: dict[int, Job], workers: Workers, on_done: Callable[[Job, Done | Lost], None]
) -> None:
    """Do the jobs that are left, and remove those that are done; a broken pool leaves the others."""
    if not left:
        return
    try:
        with closing(_pool(workers).results(task, dict(left), workers)) as results:
            for result in results:
                if result.error is not None:
                    raise result.error
                on_done(left.pop(result.index), result.done)
    except BrokenPoolError as error:
        logger.warning("a worker died (%s); its job is done again", error)


def _pool(workers: Workers) -> ModuleType:
    from flatrec.research.execution import joblib_pool, ray_pool

    return ray_pool if workers.backend == "ray" else joblib_pool
