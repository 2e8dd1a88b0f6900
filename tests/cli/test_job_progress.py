"""Progress of many runs: what is done, and how long the others may take."""

from __future__ import annotations

import pytest

from flatrec.cli import messages
from flatrec.cli.job_progress import JobProgress


class Clock:
    """A clock that is set by hand."""

    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    messages.configure(quiet=False, log_file=None)
    return Clock()


def run(progress, clock, name, seconds, error=None):
    progress.on_begin(name)
    clock.seconds += seconds
    progress.on_done(name, error)


def test_the_time_left_is_the_mean_of_a_run_times_the_runs_left(clock, capsys):
    with JobProgress("study", clock=clock) as progress:
        progress.on_plan(5, 2)
        assert progress.seconds_left is None
        run(progress, clock, "a", 100)
        assert progress.seconds_left == 400
        run(progress, clock, "b", 200, "no space left")
        assert progress.seconds_left == 450
        progress.on_begin("c")
        clock.seconds += 50
        assert progress.seconds_left == 400  # 50 of the 150 seconds of c are over
        clock.seconds += 950
        assert progress.seconds_left == 300  # c takes longer than the others did, so that nothing of it is left
    assert capsys.readouterr().err.splitlines() == [
        "study: 5 runs to make; 2 runs of an earlier call are used",
        "a begins",
        "a finished in 2 minutes (4 left, about 7 minutes)",
        "b begins",
        "b failed: no space left (3 left, about 8 minutes)",
        "c begins",
    ]


def test_workers_share_the_time_that_is_left(clock):
    with JobProgress("study", n_workers=2, clock=clock) as progress:
        progress.on_plan(6, 0)
        for name in "ab":
            progress.on_begin(name)
        clock.seconds = 60.0
        for name in "ab":
            progress.on_done(name, None)
        assert progress.seconds_left == 4 * 60 / 2
    with JobProgress("on a cluster of unknown size", n_workers=-1, clock=clock) as progress:
        progress.on_plan(6, 0)
        for name in "abc":
            progress.on_begin(name)
        clock.seconds += 60
        for name in "abc":
            progress.on_done(name, None)
        assert progress.seconds_left == 60


def test_runs_that_an_earlier_call_made_say_nothing_of_the_time(clock):
    with JobProgress("study", clock=clock) as progress:
        progress.on_plan(2, 1000)
        progress.on_done("an earlier run", "its folder is damaged")
        assert progress.seconds_left is None
        assert progress.n_left == 2


def test_a_new_plan_counts_what_is_left_then(clock):
    with JobProgress("league", clock=clock) as progress:
        progress.on_plan(10, 0)
        run(progress, clock, "a", 10)
        progress.on_plan(4, 0)
        assert progress.seconds_left == 40


def test_a_run_that_waits_for_a_worker_is_not_shown_as_running(clock, capsys):
    with JobProgress("study", n_workers=1, clock=clock) as progress:
        progress.on_plan(3, 0)
        progress.on_begin("a")
        progress.on_begin("b")  # by a pool, before it tells that a is done
        clock.seconds += 100
        progress.on_done("a", None)
        assert list(progress.running) == ["b"]
        clock.seconds += 100
        progress.on_begin("c")
        progress.on_done("c", "its worker died")
        assert (progress.n_left, progress.waiting) == (1, [])
        progress.on_done("b", None)
        assert progress.seconds == [100, 100]
    begins = [line for line in capsys.readouterr().err.splitlines() if line.endswith("begins")]
    assert begins == ["a begins", "b begins"]
