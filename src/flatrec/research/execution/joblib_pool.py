"""Processes of this machine or of a Dask cluster, by joblib."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker

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
from flatrec.utils.interrupts import defer_interrupts
from flatrec.utils.optional import require_extra
from flatrec.utils.parent import end_with_parent


@contextmanager
def connected(workers: Workers) -> Iterator[None]:
    """Connect joblib with the workers inside the block.

    Raises:
        ModuleNotFoundError: Dask is asked for and not installed.
        ConnectionError: there is no scheduler at the address.
    """
    parallel_config = require_extra("joblib", "research" if workers.backend == "local" else "dask").parallel_config
    if workers.backend == "local":
        until = {"initializer": end_with_parent, "initargs": (os.getpid(),)}
        with parallel_config(backend="loky", inner_max_num_threads=workers.threads, **until):
            yield
        return
    distributed = require_extra("distributed", "dask")
    try:
        client = distributed.Client(workers.address, timeout="20s") if workers.address else distributed.Client()
    except OSError as error:
        raise ConnectionError(
            f"there is no Dask scheduler at {workers.address} ({error}); start one, or leave out --address"
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def results(
    task: Callable[[Job], Done], jobs: Mapping[int, Job], workers: Workers, on_begin: Callable[[Job], None] = ignore
) -> Generator[JobResult[Done], None, None]:
    """Yield the results of jobs as they end.

    Raises:
        BrokenPoolError: a worker died.
    """
    with _begun(task, jobs, workers, on_begin) as ended:
        try:
            for result in ended:  # noqa: UP028 - `yield from` would close the generator before the block ends
                yield result
        except Exception as error:
            home = type(error).__module__.split(".")[0]
            if home in ("joblib", "concurrent", "distributed") or isinstance(error, (EOFError, ConnectionError)):
                raise BrokenPoolError(type(error).__name__) from error
            raise


@contextmanager
def _begun(
    task: Callable[[Job], Done], jobs: Mapping[int, Job], workers: Workers, on_begin: Callable[[Job], None]
) -> Iterator[Generator[JobResult[Done], None, None]]:
    """Give the jobs to workers, and end the workers with the block, without a word of jobs that are abandoned."""
    parallel = require_extra("joblib", "research").Parallel(
        n_jobs=max(2, workers.n_workers)
        if workers.n_workers > 0
        else -1,  # never 1, for which joblib would stay in this process
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        batch_size=1,
    )
    delayed = require_extra("joblib", "research").delayed(do_job)
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # as it starts, Python 3.11 unblocks what is blocked below
    with ExitStack() as stack:
        with defer_interrupts():  # workers are ended by this process, not by a signal that a terminal sends to all
            ended = parallel(delayed(request) for request in JobRequest.all(task, jobs, workers.threads, on_begin))
            stack.callback(_abandon, ended)  # before the interrupt that was deferred is raised
        yield ended


def _abandon(ended: Generator[object, None, None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ended.close()
