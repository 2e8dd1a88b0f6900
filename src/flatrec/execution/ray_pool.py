"""The cores of a Ray cluster.

Ray is spoken to directly: joblib's back end for it hands out nothing before all jobs have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from flatrec.execution.workers import BrokenPoolError, Done, Job, Numbered, Workers, carried, extra


@contextmanager
def connected(workers: Workers) -> Iterator[None]:
    """Inside the block this process belongs to the cluster, or to one of its own where no address is given.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """
    ray = extra("ray", "ray")
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(workers.address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConnectionError(f"there is no Ray cluster at {workers.address} ({reason}); check --address") from None
    try:
        yield
    finally:
        ray.shutdown()


def results(
    task: Callable[[Job], Done], jobs: Mapping[int, Job], workers: Workers
) -> Generator[Numbered[Done], None, None]:
    """What comes of the jobs, as they end; where a machine is lost, Ray itself does them again on another.

    Raises:
        BrokenPoolError: workers died more often than it tries.
    """
    ray = extra("ray", "ray")
    remote = ray.remote(num_cpus=1, max_retries=1)(carried)
    at_once = workers.jobs if workers.jobs > 0 else max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = iter(jobs.items())
    running: dict[object, int] = {}
    try:
        while True:
            for number, job in islice(waiting, at_once - len(running)):
                running[remote.remote(task, number, job, workers.threads)] = number
            if not running:
                return
            (first, *_), _ = ray.wait(list(running), num_returns=1)
            del running[first]
            yield ray.get(first)
    except ray.exceptions.RayError as error:
        raise BrokenPoolError(type(error).__name__) from error
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
