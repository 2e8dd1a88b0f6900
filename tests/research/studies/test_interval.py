"""What the studies ask of strategies: gradients per step, and the setting ``interval``."""

import pytest

from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy, config_class, strategy_names
from flatrec.research.studies.scores import IntervalStudy


@pytest.mark.parametrize(
    ("name", "settings", "gradients"),
    [
        ("plain", {}, 1.0),
        ("plain+", {}, 2.0),
        ("sam", {}, 2.0),
        ("sam", {"rho": 0.0}, 1.0),
        ("bsam", {"interval": 4}, 1.25),
        ("bsam+", {"interval": 4}, 2.25),
        ("looksam", {}, 1.2),
        ("mg", {}, 1 + 1 / 3),
    ],
)
def test_gradients_per_step(name, settings, gradients):
    assert build_strategy(Component(name, settings)).gradients_per_step == pytest.approx(gradients)


def test_every_strategy_with_an_interval_is_planned_at_every_interval(request_for):
    names = [name for name in strategy_names() if "interval" in config_class("strategy", name).model_fields]
    assert {"sam", "bsam+"} <= set(names)
    planned = IntervalStudy(intervals=(1, 4)).plan(request_for(("freedom",), ("plain", *names), (0,)))
    by_strategy = {}
    for run in planned:
        by_strategy.setdefault(run.experiment.strategy.name, []).append(run)
    assert [run.labels["interval"] for run in by_strategy.pop("plain")] == [1, 4]
    assert by_strategy.keys() == set(names)
    for name, runs in by_strategy.items():
        assert [run.experiment.strategy.options["interval"] for run in runs] == [1, 4], name


def test_a_request_of_strategies_without_an_interval_is_refused(request_for):
    with pytest.raises(ValueError, match="has an interval; add a strategy"):
        IntervalStudy().plan(request_for(("freedom",), ("plain", "plain+"), (0,)))
