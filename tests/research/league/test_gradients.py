"""The gradients of a run."""

from __future__ import annotations

import pytest

from flatrec.models import Model
from flatrec.research.league import League, Method, Plan
from flatrec.research.league.curve import GradientCount
from flatrec.research.league.job import Job, run_job
from flatrec.research.league.records import Record
from flatrec.research.league.settings import experiment_of
from flatrec.research.league.spec import Rules
from tests.research.league.conftest import SETTINGS


def test_steps_before_the_start_are_plain():
    # Four steps per epoch and a start at 1.5 epochs: steps 0 to 5 are plain, at 1 gradient, the others take 2.
    count = GradientCount(2.0, 4, 1.5, 1.0)
    assert [count.until(epoch) for epoch in range(4)] == [0, 4, 6 + 2 * 2, 6 + 2 * 6]


def test_a_start_within_a_step_begins_with_the_next_one():
    # 1.4 epochs of four steps are 5.6 steps; step 5 lies at 1.25 and is plain, step 6 at 1.5.
    assert GradientCount(3.0, 4, 1.4, 2.0).until(2) == 6 * 2 + 2 * 3


def test_a_run_that_ends_before_the_start_is_plain():
    assert GradientCount(2.0, 4, 10.0, 1.0).until(3) == 12


def test_without_a_start_all_steps_cost_the_same():
    assert GradientCount(1.5, 10).until(4) == 60


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [("plain", {}), ("sam", {"start_epoch": 1.5}), ("bsam+", {"start_epoch": 1.0}), ("sam", {"interval": 2})],
)
def test_a_record_counts_the_gradients_that_training_takes(strategy, settings, cell, tmp_path, monkeypatch):
    counted = []
    loss = Model.loss
    monkeypatch.setattr(Model, "loss", lambda *given: counted.append(1) or loss(*given))  # one for each gradient
    record = run_job(job_of(strategy, settings, cell, tmp_path))
    assert isinstance(record, Record)
    assert record.steps > 2
    assert record.gradients == sum(counted)
    assert [point.gradients for point in record.curve][-1] == sum(counted)


def job_of(strategy, settings, cell, folder):
    """A trial of three epochs of about five steps on tiny data."""
    stated = {f"strategy.{name}": value for name, value in settings.items()}
    method = Method("method", Plan({"strategy.name": strategy, "training.batch_size": 16, **stated}))
    experiment = experiment_of(League(Rules(), SETTINGS, (cell,), (method,)), cell, method, {}, seed=0)
    return Job("trial", cell.name, "method", 0, {}, experiment, folder / "runs")
