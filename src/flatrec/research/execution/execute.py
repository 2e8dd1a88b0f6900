"""Do all jobs, whoever dies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from types import ModuleType

from flatrec.research.execution import joblib_pool, ray_pool
from flatrec.research.execution.workers import BrokenPoolError, Done, Job, Workers

TRIES = 3  # pools that may break before the jobs that are left get a pool each

logger = logging.getLogger(__name__)


class Lost:
    """What became of a job whose worker died every time."""

    error = f"its worker died {TRIES + 1} times; is there enough memory?"


def execute(
    task: Callable[[Job], Done], jobs: Sequence[Job], workers: Workers, on_done: Callable[[Job, Done | Lost], None]
) -> None:
    """Do all jobs, in any order.

    A job must be safe to do again: where a worker dies, jobs that were going on are done again, by another. With one
    job at a time on this machine all happens in this process.

    Args:
        task: a function at the top of a module; what it raises comes out here and ends everything.
        jobs: what it is called with, in turn.
        workers: who does it.
        on_done: called in this process as jobs end, with the job and what came of it.

    Raises:
        ModuleNotFoundError: the backend is not installed; the message names the extra.
        ConnectionError: the cluster cannot be reached.
    """
    if workers.backend == "local" and workers.jobs == 1:
        for job in jobs:
            on_done(job, task(job))
        return
    left = dict(enumerate(jobs))
    with _pool(workers).connected(workers):
        for _ in range(TRIES):
            _go(task, left, workers, on_done)
        for number in list(left):  # whoever kills workers now kills no other's
            alone = {number: left.pop(number)}
            _go(task, alone, workers, on_done)
            for job in alone.values():
                on_done(job, Lost())


def _go(
    task: Callable[[Job], Done], left: dict[int, Job], workers: Workers, on_done: Callable[[Job, Done | Lost], None]
) -> None:
    """Do what is left and take it out; what a broken pool did not do stays."""
    if not left:
        return
    try:
        with closing(_pool(workers).results(task, dict(left), workers)) as results:
            for one in results:
                if one.bug is not None:
                    raise one.bug
                on_done(left.pop(one.number), one.done)
    except BrokenPoolError as error:
        logger.warning("a worker died (%s); what it was doing is done again", error)


def _pool(workers: Workers) -> ModuleType:
    return ray_pool if workers.backend == "ray" else joblib_pool
