"""Threads that nobody waits for.

Those of :mod:`concurrent.futures` are waited for when the interpreter ends, so that a server that is silent, or a
picture that takes long, keeps a command from ending that was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")
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
        """Have a function called; it may be cancelled until a thread takes it up."""
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
            return [future.result() for future in futures]
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
        return threads.submit(function).result()


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
