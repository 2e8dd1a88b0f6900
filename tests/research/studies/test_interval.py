"""What the studies ask of strategies: gradients a step, and which setting is the interval."""

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
        ("looksam", {"every": 5}, 1.2),
        ("looksam", {"every": 1}, 2.0),
        ("looksam+", {"every": 5}, 2.2),
        ("looksam+", {"every": 2, "kappa": 0.3}, 2.5),
        ("mg", {"beta": 2}, 1.5),
        ("mg", {}, 1 + 1 / 3),
    ],
)
def test_gradients_a_step_of_convergence(name, settings, right):
    assert gradients(Component(name, settings)) == pytest.approx(right)


def test_every_strategy_is_planned_at_every_interval_by_its_own_setting(request_for):
    strategies = ("plain", "sam", "bsam+", "looksam", "looksam+", "mg")
    planned = Interval(every=(1, 4)).plan(request_for(("freedom",), strategies, (0,)))
    found = {}
    for one in planned:
        options = one.experiment.strategy.options
        found.setdefault(one.experiment.strategy.name, []).append(
            {key: options[key] for key in ("interval", "every", "beta") if key in options}
        )
    assert found.pop("plain") in ([{}], [{}, {}])
    settings = {"sam": "interval", "bsam+": "interval", "looksam": "every", "looksam+": "every", "mg": "beta"}
    assert found.keys() == settings.keys()
    for name, setting in settings.items():
        assert [one[setting] for one in found[name]] == [1, 4], name


def test_strategies_without_an_interval_alone_are_refused(request_for):
    with pytest.raises(ValueError, match="has an interval; add one"):
        Interval().plan(request_for(("freedom",), ("plain", "plain+"), (0,)))
