"""The cores of a Ray cluster.

Ray is used directly, since joblib's back end for it returns no result before all jobs have ended.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from types import ModuleType

from flatrec.research.execution.workers import (
    BrokenPoolError,
    Done,
    Job,
    JobRequest,
    JobResult,
    Workers,
    do_job,
    ignore,
)
from flatrec.utils.optional import require_extra


@contextmanager
def connected(workers: Workers) -> Iterator[None]:
    """Connect this process with the cluster inside the block, or with one of its own where no address is given.

    What Ray says of lost workers goes to standard error, since commands promise what they write to standard output.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """
    ray = require_extra("ray", "ray")
    with redirect_stdout(sys.stderr):
        if ray.is_initialized():
            yield
            return
        _init(ray, workers)
        try:
            yield
        finally:
            ray.shutdown()


def _init(ray: ModuleType, workers: Workers) -> None:
    try:
        ray.init(workers.address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConnectionError(
            f"there is no Ray cluster at {workers.address} that accepts this client ({reason}); check --address, "
            "RAY_AUTH_MODE and RAY_AUTH_TOKEN"
        ) from None


def results(
    task: Callable[[Job], Done], jobs: Mapping[int, Job], workers: Workers, on_begin: Callable[[Job], None] = ignore
) -> Generator[JobResult[Done], None, None]:
    """Yield the results of jobs as they end; if a machine is lost, Ray repeats its jobs on another.

    Raises:
        BrokenPoolError: workers died more often than Ray repeats a job.
        RuntimeError: a machine of the cluster lacks a package, or has another version of it.
    """
    ray = require_extra("ray", "ray")
    resources = ray.cluster_resources()
    n_workers = workers.n_workers if workers.n_workers > 0 else max(1, int(resources.get("CPU", 1)))
    n_gpus = gpus_of_a_job(resources.get("GPU", 0.0), min(n_workers, len(jobs)))
    remote = ray.remote(num_cpus=1, num_gpus=n_gpus, max_retries=1)(do_job)
    waiting = JobRequest.all(task, jobs, workers.threads, on_begin)
    running: set[object] = set()
    try:
        while True:
            for request in islice(waiting, n_workers - len(running)):
                running.add(remote.remote(request))
            if not running:
                return
            (first, *_), _ = ray.wait(list(running), num_returns=1)
            running.remove(first)
            yield ray.get(first)
    except ray.exceptions.RayTaskError as error:  # what a job raises is sent as a value, so that no job has begun
        reason = (str(error.cause).strip() or type(error.cause).__name__).splitlines()[-1]
        raise RuntimeError(
            f"a worker of the Ray cluster cannot begin its job ({reason}); install the same packages on all machines"
        ) from None
    except ray.exceptions.RayError as error:
        raise BrokenPoolError(type(error).__name__) from error
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def gpus_of_a_job(n_gpus: float, n_workers: int) -> float:
    """Return the share of a GPU that a job is given; without one, Ray hides the GPUs from it.

    Example:
        >>> gpus_of_a_job(0.0, 4), gpus_of_a_job(8.0, 4), gpus_of_a_job(1.0, 3)
        (0.0, 1.0, 0.3333)
    """
    return float(min(1.0, math.floor(10_000 * n_gpus / n_workers) / 10_000))  # Ray counts in parts of 10,000
