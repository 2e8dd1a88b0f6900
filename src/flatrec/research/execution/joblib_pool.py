"""Processes on this machine, or those of a Dask cluster, by joblib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager

from joblib import Parallel, delayed, parallel_config

from flatrec.research.execution.workers import BrokenPoolError, Done, Job, Numbered, Sent, Workers, carried, extra
from flatrec.utils.interrupts import defer_interrupts


@contextmanager
def connected(workers: Workers) -> Iterator[None]:
    """Inside the block, joblib sends jobs there.

    Raises:
        ModuleNotFoundError: Dask is asked for and not installed.
        ConnectionError: there is no scheduler at the address.
    """
    if workers.backend == "local":
        with parallel_config(backend="loky", inner_max_num_threads=workers.threads):
            yield
        return
    distributed = extra("distributed", "dask")
    try:
        client = distributed.Client(workers.address, timeout="20s") if workers.address else distributed.Client()
    except OSError as error:
        raise ConnectionError(
            f"there is no Dask scheduler at {workers.address} ({error}); start one, or leave out --address"
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def results(
    task: Callable[[Job], Done], jobs: Mapping[int, Job], workers: Workers
) -> Generator[Numbered[Done], None, None]:
    """What comes of the jobs, as they end.

    Raises:
        BrokenPoolError: a worker died.
    """
    parallel = Parallel(
        n_jobs=max(2, workers.jobs) if workers.jobs > 0 else -1,  # never 1, for which joblib would stay in this process
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        batch_size=1,
    )
    with (
        defer_interrupts()
    ):  # what is started here is ended by this process, not by a signal that a terminal sends to all
        ended = parallel(delayed(carried)(sent) for sent in Sent.all(task, jobs, workers.threads))
    try:
        for one in ended:  # noqa: UP028 - not `yield from`, which would close it before the block at the end
            yield one
    except Exception as error:
        home = type(error).__module__.split(".")[0]
        if home not in ("joblib", "concurrent", "distributed") and not isinstance(error, (EOFError, ConnectionError)):
            raise
        raise BrokenPoolError(type(error).__name__) from error
    finally:
        with warnings.catch_warnings():  # of jobs that are given up
            warnings.simplefilter("ignore", UserWarning)
            ended.close()
