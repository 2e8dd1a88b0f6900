"""The cores of a Ray cluster.

Ray is spoken to directly: joblib's back end for it hands out nothing before all jobs have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from flatrec.research.execution.workers import BrokenPoolError, Done, Job, Numbered, Sent, Workers, carried, extra


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
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConnectionError(
            f"there is no Ray cluster at {workers.address} that lets us in ({reason}); check --address, RAY_AUTH_MODE "
            "and RAY_AUTH_TOKEN"
        ) from None
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
    waiting = Sent.all(task, jobs, workers.threads)
    running: set[object] = set()
    try:
        while True:
            for sent in islice(waiting, at_once - len(running)):
                running.add(remote.remote(sent))
            if not running:
                return
            (first, *_), _ = ray.wait(list(running), num_returns=1)
            running.remove(first)
            yield ray.get(first)
    except ray.exceptions.RayError as error:
        raise BrokenPoolError(type(error).__name__) from error
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
