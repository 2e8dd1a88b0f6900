"""What is told of jobs as they begin and end."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class JobCallback(Protocol):
    """Receives what happens to the jobs of a study, sweep or league, to show it."""

    def on_plan(self, n_left: int, n_reused: int) -> None:
        """Called before jobs begin, and again where their number has changed.

        Args:
            n_left: number of jobs that are still to be done; where it depends on their results, the largest.
            n_reused: number of jobs that an earlier call has done. They are not told of, unless reading them fails.
        """

    def on_begin(self, name: str) -> None:
        """Called when a job is given to a worker, again if that worker dies; maybe from another thread."""

    def on_done(self, name: str, error: str | None) -> None:
        """Called when a job has ended, with its error if it failed."""


class NoCallback:
    """Shows nothing."""

    def on_plan(self, n_left: int, n_reused: int) -> None:
        """Show nothing."""

    def on_begin(self, name: str) -> None:
        """Show nothing."""

    def on_done(self, name: str, error: str | None) -> None:
        """Show nothing."""
