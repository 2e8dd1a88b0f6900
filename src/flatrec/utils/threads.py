"""Threads that nobody waits for.

Those of :mod:`concurrent.futures` are waited for when the interpreter ends, so that a server that is silent, or a
image that takes long, keeps a command from ending that was interrupted. And where a library has put a handler of its
own before Python's, as polars does, an interruption ends no wait: so every wait here is one of many short ones.
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

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")
_LOOK = 0.1  # seconds between two looks whether the keyboard interrupted
_Task: TypeAlias = tuple[Future[Any], Callable[[], Any]]


class Threads:
    """A few threads that end with the process, whatever they are doing.

    Args:
        count: most of them.
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
        """Have a function called; it may be canceled until a thread takes it up."""
        future: Future[_Result] = Future()
        self._tasks.put((future, partial(function, *arguments)))
        if self._started < self._count:
            self._started += 1
            Thread(target=_work, args=(self._tasks,), daemon=True).start()
        return future

    def map(self, function: Callable[[_Given], _Result], items: Iterable[_Given]) -> list[_Result]:
        """What a function makes of each; an error or an interruption cancels those not taken up yet."""
        futures = [self.submit(function, item) for item in items]
        try:
            return [_result(future) for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def stop(self) -> None:
        """End the threads when they have done what was submitted, without waiting for it."""
        for _ in range(self._started):
            self._tasks.put(None)


def interruptible(function: Callable[[], _Result]) -> _Result:
    """The result of a function that the keyboard could not interrupt, such as one that asks for a server's address."""
    with Threads(1) as threads:
        return _result(threads.submit(function))


def wait_for(
    futures: Collection[Future[_Result]], *, one: bool = False, seconds: float = math.inf
) -> set[Future[_Result]]:
    """Those that are done, once all are, or one is, or the time is over; the keyboard interrupts it."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        how = FIRST_COMPLETED if one else ALL_COMPLETED
        done, pending = wait(futures, timeout=max(0.0, min(_LOOK, left)), return_when=how)
        if not pending or (one and done) or left <= 0:
            return done


def _result(future: Future[_Result]) -> _Result:
    try:
        if not future.done():
            wait_for([future])
        return future.result()
    finally:
        del future  # which an error would hold through this frame, and it the error, with what that holds


def _work(tasks: SimpleQueue[_Task | None]) -> None:
    while (task := tasks.get()) is not None:
        future, function = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(function())
        except BaseException as error:  # the waiting thread's to judge
            future.set_exception(error)
        del task, future, function  # whose values would live on while it waits
