"""Progress of studies, sweeps and leagues: what runs, how many runs are done, and about how long the others take."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from types import TracebackType

from flatrec.cli.messages import STATUS, print_progress
from flatrec.cli.progress import bar
from flatrec.utils.messages import count

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class JobProgress:
    """Shows runs as they begin and end: a bar on a terminal, lines elsewhere.

    It is a context manager: the bar is closed at the end of the block.

    Args:
        title: what the runs belong to.
        n_workers: number of runs at the same time; -1 if it is not known.
        clock: returns the time in seconds.
    """

    def __init__(self, title: str, n_workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.title, self.clock, self.n_workers = title, clock, n_workers
        self.n_left = self.n_done = self.n_reused = 0
        self.running: dict[str, float] = {}  # when each run began
        self.waiting: list[str] = []  # runs that a pool took before a worker was free
        self.seconds: list[float] = []  # how long each that ended has taken
        self.most_running = 1
        self.announced = False
        self.lock = Lock()  # pools tell of what begins from a thread of their own

    def __enter__(self) -> JobProgress:
        self.bar = bar("left")
        self.task = self.bar.add_task(self.title, total=None, left="")
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def on_plan(self, n_left: int, n_reused: int) -> None:
        """Take the number of runs that are left."""
        self.n_left, self.n_reused = n_left, n_reused
        if not n_left:
            self._announce()
        self._show()

    def on_begin(self, name: str) -> None:
        """Show that a run has begun, or will when a worker is free: pools take one run more than there are workers."""
        with self.lock, suppress(BrokenPipeError):  # a thread of the pool must not end because nobody reads
            self._announce()
            if 0 < self.n_workers <= len(self.running) and name not in self.running:
                self.waiting.append(name)
            else:
                self._begin(name)

    def on_done(self, name: str, error: str | None) -> None:
        """Print how a run ended, and what is left."""
        with self.lock:
            began = self.running.pop(name, None)
            took = ""
            if began is not None:
                self.seconds.append(self.clock() - began)
                took = f" in {spoken(self.seconds[-1])}"
            if began is not None or name in self.waiting:
                self.n_left, self.n_done = max(0, self.n_left - 1), self.n_done + 1
            self.waiting = [one for one in self.waiting if one != name]
            ended = f"finished{took}" if error is None else f"failed: {error}"
            print_progress(f"{name} {ended} ({self._left()})")
            if self.waiting and len(self.running) < self.n_workers:
                self._begin(self.waiting.pop(0))
            self._show()

    def _begin(self, name: str) -> None:
        self.running[name] = self.clock()
        self.most_running = max(self.most_running, len(self.running))
        STATUS.info("%s begins", name)
        self._show()

    @property
    def seconds_left(self) -> float | None:
        """About how long the runs that are left take, if they take as long as those that ended; None if none did."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        at_once = self.n_workers if self.n_workers > 0 else self.most_running
        now = self.clock()
        begun = sum(min(mean, now - began) for began in self.running.values())
        return max(0.0, self.n_left * mean - begun) / min(at_once, max(1, self.n_left))

    def _announce(self) -> None:
        """Print once, when work begins, how much there is."""
        if self.announced:
            return
        self.announced = True
        earlier = f"; {count(self.n_reused, 'run')} of an earlier call {'is' if self.n_reused == 1 else 'are'} used"
        print_progress(f"{self.title}: {count(self.n_left, 'run')} to make{earlier if self.n_reused else ''}")

    def _left(self) -> str:
        seconds = self.seconds_left
        about = f", about {spoken(seconds)}" if seconds and self.n_left else ""
        return f"{self.n_left} left{about}"

    def _show(self) -> None:
        done = self.n_done + self.n_reused
        now = f"; now {', '.join(self.running)}" if self.running else ""
        self.bar.update(self.task, total=done + self.n_left, completed=done, left=f"{self._left()}{now}")


def spoken(seconds: float) -> str:
    """Return a duration in words, rounded as a reader needs it.

    Example:
        >>> [spoken(seconds) for seconds in (0.2, 1.4, 89.0, 100.0, 5000.0, 8000.0, 2e5)]
        ['less than a second', '1 second', '89 seconds', '2 minutes', '83 minutes', '2.2 hours', '2.3 days']
    """
    if seconds < 0.5:
        return "less than a second"
    if seconds < 1.5 * _MINUTE:
        return count(round(seconds), "second")
    if seconds < 2 * _HOUR:
        return count(round(seconds / _MINUTE), "minute")
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.1f} hours"
    return f"{seconds / _DAY:.1f} days"
