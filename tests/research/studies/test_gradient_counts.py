"""What the studies ask of strategies: gradients a step, and whether they have an interval."""

import pytest

from flatrec.config import Component
from flatrec.research.studies.convergence import gradients
from flatrec.research.studies.interval import Interval


@pytest.mark.parametrize(
    ("name", "settings", "right"),
    [
        ("plain", {}, 1.0),
        ("plain+", {}, 2.0),
        ("sam", {}, 2.0),
        ("sam", {"rho": 0.0}, 1.0),
        ("bsam", {"interval": 4}, 1.25),
        ("bsam+", {"interval": 4}, 2.25),
        ("looksam", {}, 1.2),
        ("looksam", {"interval": 5}, 1.2),
        ("looksam", {"interval": 1}, 2.0),
        ("looksam+", {"interval": 5}, 2.2),
        ("looksam+", {"interval": 2, "kappa": 0.3}, 2.5),
        ("mg", {"interval": 2}, 1.5),
        ("mg", {}, 1 + 1 / 3),
    ],
)
def test_gradients_a_step_of_convergence(name, settings, right):
    assert gradients(Component(name, settings)) == pytest.approx(right)


def test_every_strategy_is_planned_at_every_interval(request_for):
    strategies = ("plain", "sam", "bsam+", "looksam", "looksam+", "mg")
    planned = Interval(every=(1, 4)).plan(request_for(("freedom",), strategies, (0,)))
    found = {}
    for one in planned:
        options = one.experiment.strategy.options
        found.setdefault(one.experiment.strategy.name, []).append(
            {"interval": options["interval"]} if "interval" in options else {}
        )
    assert found.pop("plain") in ([{}], [{}, {}])
    assert found == {name: [{"interval": 1}, {"interval": 4}] for name in strategies[1:]}


def test_strategies_without_an_interval_alone_are_refused(request_for):
    with pytest.raises(ValueError, match="has an interval; add one"):
        Interval().plan(request_for(("freedom",), ("plain", "plain+"), (0,)))
