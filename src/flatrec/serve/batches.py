"""Queries that come at the same time, answered by one call, as reading the vectors of all items is what takes time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from flatrec.serve.errors import Refused
from flatrec.serve.served import Served
from flatrec.serve.work import Work, busy, late

Query = TypeVar("Query")
Waiting: TypeAlias = "deque[tuple[Query, asyncio.Future[bytes]]]"
Place: TypeAlias = tuple[Served, Hashable]
MOST, MOST_QUICK = 32, 16  # queries of a call in a thread, and in the event loop
TURNS = 2  # of the event loop, in which it reads what has arrived meanwhile; each takes some microseconds


@dataclass(eq=False)
class Batches(Generic[Query]):
    """Collects queries until they can be answered, and no longer.

    Nothing waits for queries that may come. Those that are quick are answered by the event loop, all that it has read
    in its last turns by one call. The others wait until the call before is back from its thread.

    Args:
        answers: answers queries of one recommender; one answer or refusal for each.
        work: the threads; as many queries may wait here as calls there, and an answer has as much time.
    """

    answers: Callable[[Sequence[Query], Served], Sequence[bytes | Refused]]
    work: Work
    _places: dict[Place, Waiting[Query]] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _n_waiting: int = field(default=0, init=False)

    async def answer(self, query: Query, served: Served, key: Hashable, *, is_quick: bool) -> bytes:
        """Return the answer to a query, which may be given together with those of others with an equal key.

        Raises:
            Refused: the query is refused, too many wait, or the time is over.
        """
        if self._n_waiting >= self.work.most:
            raise busy(self.work.most)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._n_waiting += 1
        try:
            self._add(query, future, (served, key), is_quick=is_quick)
            if is_quick:  # it is not given up, as the loop that would do so is what answers
                return await future
            async with asyncio.timeout(self.work.seconds):
                return await future
        except TimeoutError:
            raise late(self.work.seconds) from None
        finally:
            self._n_waiting -= 1

    def _add(self, query: Query, future: asyncio.Future[bytes], place: Place, *, is_quick: bool) -> None:
        if place in self._places:
            self._places[place].append((query, future))
            return
        self._places[place] = deque([(query, future)])
        loop = asyncio.get_running_loop()
        if is_quick:
            loop.call_soon(self._answer_soon, place, TURNS)
        else:
            task = loop.create_task(self._answer_in_threads(place))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _answer_soon(self, place: Place, turns: int) -> None:
        """Answer after some turns of the loop."""
        if turns > 0:
            asyncio.get_running_loop().call_soon(self._answer_soon, place, turns - 1)
        else:
            self._answer_here(place)

    def _answer_here(self, place: Place) -> None:
        """Answer what has come; the rest in the next turn of the loop, so that others have theirs."""
        queries, futures = self._taken(place, MOST_QUICK)
        if queries:
            try:
                settle(futures, self.answers(queries, place[0]))
            except Exception as error:
                fail(futures, error)
        if self._places[place]:
            asyncio.get_running_loop().call_soon(self._answer_here, place)
        else:
            del self._places[place]

    async def _answer_in_threads(self, place: Place) -> None:
        while self._places[place]:
            queries, futures = self._taken(place, MOST)
            if not queries:
                continue
            try:
                settle(futures, await self.work.run(self.answers, queries, place[0]))
            except Exception as error:
                fail(futures, error)
        del self._places[place]

    def _taken(self, place: Place, most: int) -> tuple[list[Query], list[asyncio.Future[bytes]]]:
        """Take the first queries whose clients still wait."""
        waiting = self._places[place]
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        wanted = [(query, future) for query, future in taken if not future.done()]
        return [query for query, _ in wanted], [future for _, future in wanted]


def settle(futures: Sequence[asyncio.Future[bytes]], answers: Sequence[bytes | Refused]) -> None:
    """Give every client that still waits its answer."""
    for future, answer in zip(futures, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Refused):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def fail(futures: Sequence[asyncio.Future[bytes]], error: Exception) -> None:
    """Tell every client that still waits that there is no answer."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
