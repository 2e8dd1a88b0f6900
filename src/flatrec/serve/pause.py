"""A pause after somebody waited in vain, so that others need not wait as well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flatrec.event_log import LogUnavailableError


class Pause:
    """Lets one call at a time find out whether a slow log answers again; the others fail at once.

    Without it, a log that is locked for a minute would hold every thread of the service for as long as it may wait.

    Args:
        slow: time, in seconds, from which on a call that fails begins a pause.
        seconds: length of the pause.
    """

    def __init__(self, slow: float, seconds: float) -> None:
        self._slow, self._seconds, self._until = slow, seconds, 0.0

    @contextmanager
    def between(self) -> Iterator[None]:
        """Run a block, unless there is a pause.

        Raises:
            LogUnavailableError: there is a pause, or the block raises it.
        """
        began = time.monotonic()
        if began < self._until:
            raise LogUnavailableError("the log of events did not answer a moment ago; it is tried again in a moment")
        if self._until:
            self._until = began + self._slow + self._seconds  # this call finds out
        try:
            yield
        except LogUnavailableError:
            ended = time.monotonic()
            self._until = ended + self._seconds if ended - began >= self._slow else 0.0
            raise
        self._until = 0.0
