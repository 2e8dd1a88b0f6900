"""Threads that do not delay the end of a process.

Python waits for the threads of :mod:`concurrent.futures` when it ends, so that a silent server or a slow image would
keep an interrupted command from ending. Some libraries, such as polars, install signal handlers because of which
Ctrl-C does not end a wait: so every wait here consists of many short ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_POLL = 0.1  # seconds between two checks for Ctrl-C
_Task: TypeAlias = tuple[Future[Any], Callable[[], Any]]


class Threads:
    """A pool of threads that end with the process, whatever they are doing.

    Args:
        count: the maximum number of threads.
    """

    def __init__(self, count: int) -> None:
        self._count, self._started = count, 0
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def submit(self, function: Callable[..., _Result], *arguments: object) -> Future[_Result]:
        """Schedule the call of a function; it can be canceled until a thread starts it."""
        future: Future[_Result] = Future()
        self._tasks.put((future, partial(function, *arguments)))
        if self._started < self._count:
            self._started += 1
            Thread(target=_work, args=(self._tasks,), daemon=True).start()
        return future

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Return the results of a function for all items; an error or Ctrl-C cancels calls that have not started."""
        futures = [self.submit(function, item) for item in items]
        try:
            return [_result(future) for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def stop(self) -> None:
        """Let the threads end after the submitted calls, without waiting for them."""
        for _ in range(self._started):
            self._tasks.put(None)


def interruptible(function: Callable[[], _Result]) -> _Result:
    """Return the result of a function that Ctrl-C cannot interrupt by itself, such as the look-up of an address."""
    with Threads(1) as threads:
        return _result(threads.submit(function))


def wait_for(
    futures: Collection[Future[_Result]], *, first: bool = False, seconds: float = math.inf
) -> set[Future[_Result]]:
    """Wait until all futures are done (or only the first), or the seconds are over, and return those that are done.

    Ctrl-C interrupts it.
    """
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        condition = FIRST_COMPLETED if first else ALL_COMPLETED
        done, pending = wait(futures, timeout=max(0.0, min(_POLL, left)), return_when=condition)
        if not pending or (first and done) or left <= 0:
            return done


def _result(future: Future[_Result]) -> _Result:
    try:
        if not future.done():
            wait_for([future])
        return future.result()
    finally:
        del future  # an error would keep this frame alive, and this frame the error


def _work(tasks: SimpleQueue[_Task | None]) -> None:
    while (task := tasks.get()) is not None:
        future, function = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(function())
        except BaseException as error:  # raised in the thread that waits for the result
            future.set_exception(error)
        del task, future, function  # otherwise their values would stay alive during the next wait
