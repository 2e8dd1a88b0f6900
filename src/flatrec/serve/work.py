"""The threads that do the work of requests, so that the event loop never waits for a computation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from flatrec.serve.errors import Refused
from flatrec.utils.threads import Threads

Result = TypeVar("Result")


class Work:
    """A bounded number of threads with a bounded queue.

    Args:
        threads: number of calls at the same time.
        waiting: number of calls that may wait for a thread.
        seconds: time for a call, the wait included.
    """

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        self._threads = Threads(threads)
        self.most, self.seconds = threads + waiting, seconds
        self._begun = 0

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Return the result of a function that is called in a thread.

        A call that is late goes on in its thread until it ends, and holds its place meanwhile.

        Raises:
            Refused: too many calls wait, or the time is over.
        """
        if self._begun >= self.most:
            raise busy(self.most)
        self._begun += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(function, *arguments)
        future.add_done_callback(lambda done: self._ended(done, loop))
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise late(self.seconds) from None

    def stop(self) -> None:
        """Let the threads end after what they are doing."""
        self._threads.stop()

    def _ended(self, _future: Future[Result], loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._begun -= 1


RETRY = ((b"retry-after", b"1"),)


def busy(most: int) -> Refused:
    """Return what a client is told if too many requests wait."""
    return Refused(503, f"at most {most} requests at the same time; try again later", RETRY)


def late(seconds: float) -> Refused:
    """Return what a client is told if an answer takes too long."""
    return Refused(503, f"an answer may take {seconds:g} seconds, but is not ready; ask for less, or later", RETRY)
