"""How fast questions may follow one another."""

from __future__ import annotations

import threading
import time


class Pace:
    """Turns for many threads, evenly spaced, that can be put off and stopped.

    Args:
        per_minute: turns a minute; None for no limit.

    Raises:
        ValueError: not above 0.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        if per_minute is not None and not 0 < per_minute < float("inf"):
            raise ValueError(f"a rate must be above 0 a minute, but is {per_minute}")
        self._spacing = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def turn(self) -> bool:
        """Wait for the next turn; False where there will be none."""
        with self._lock:
            mine = max(time.monotonic(), self._next)
            self._next = mine + self._spacing
        return self.rest(mine - time.monotonic())

    def put_off(self, seconds: float) -> None:
        """No turn for everybody for a while."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def rest(self, seconds: float) -> bool:
        """Wait; False where it was stopped meanwhile."""
        return not self._stopped.wait(max(0.0, seconds))

    def stop(self) -> None:
        """Wake everybody who waits."""
        self._stopped.set()
