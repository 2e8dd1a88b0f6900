"""Limit of requests per minute.

It is our own, since the packages for threads can be neither stopped nor postponed for all threads, and those that can
are for asyncio.
"""

from __future__ import annotations

import threading
import time


class RateLimiter:
    """Gives turns to many threads, evenly spaced; turns can be postponed and stopped.

    Args:
        per_minute: turns per minute; None for no limit.

    Raises:
        ValueError: ``per_minute`` is not above 0.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        if per_minute is not None and not 0 < per_minute < float("inf"):
            raise ValueError(f"requests_per_minute must be above 0, but is {per_minute}")
        self._spacing = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def acquire(self) -> bool:
        """Wait for the next turn; return False if the limiter was stopped."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._spacing
        return self.sleep(turn - time.monotonic())

    def postpone(self, seconds: float) -> None:
        """Give no thread a turn for some seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> bool:
        """Wait for some seconds; return False if the limiter was stopped meanwhile."""
        return not self._stopped.wait(max(0.0, seconds))

    def stop(self) -> None:
        """Wake all threads that wait; nobody gets a turn from now on."""
        self._stopped.set()
