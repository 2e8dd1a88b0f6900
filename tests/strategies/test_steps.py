"""Every strategy against its equations worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.strategies import MIXABLE
from flatrec.training.optimizers import make
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import (
    BY_HAND,
    DISTANCES,
    Factors,
    HandAdagrad,
    HandAdam,
    HandMomentum,
    HandRMSprop,
    HandSGD,
    Network,
    Quadratic,
    batch,
    context_of,
    flat,
    hand_run,
    problems_of,
)

pytestmark = pytest.mark.repeats

STEPS = 6
CASES = [(name, settings) for name, (_, several) in BY_HAND.items() for settings in several]
CASES += [(f"{name}+", {**one, "kappa": 0.3}) for name, one in CASES if name in MIXABLE]
CASES += [(f"{name}+", {}) for name in MIXABLE]  # with the default weight
OPTIMIZERS = {
    "sgd": (HandSGD, {}),
    "momentum": (HandMomentum, {"momentum": 0.9}),
    "adam": (HandAdam, {}),
    "rmsprop": (HandRMSprop, {}),
    "adagrad": (HandAdagrad, {}),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("problem", "name", "settings"), [(problem, *case) for case in CASES for problem in problems_of(case[0])]
)
def test_steps_equal_those_worked_by_hand(problem, optimizer, name, settings):
    hand, options = OPTIMIZERS[optimizer]
    model = problem()
    # After one step, after three, and after some more.
    want = [hand_run(model.flat_gradient, flat(model), hand(0.05), name, steps, settings) for steps in (1, 3, STEPS)]
    kind = "sgd" if optimizer == "momentum" else optimizer
    context = context_of(model, make(kind, model.parameters(), {"lr": 0.05, **options}))
    strategy = build_strategy(Component(name, settings))
    for step in range(STEPS):
        context.progress = float(step)  # each step begins an epoch
        numbers = [step] if strategy.batches_per_step == 1 else [2 * step, 2 * step + 1]
        strategy.step(context, *map(batch, numbers))
        if step + 1 in (1, 3, STEPS):
            assert np.abs(flat(model) - want.pop(0)).max() < 1e-10


def test_every_strategy_is_worked_by_hand():
    assert {name for name, _ in CASES} == set(strategy_names())


@pytest.mark.parametrize("problem", [Network, Factors])
def test_the_hand_worked_gradient_is_right(problem):
    model = problem()
    (_,), (gradient,) = TrainStepContext(model, torch.optim.SGD(model.parameters())).gradients(batch(3))
    assert np.allclose(np.concatenate([part.flatten() for part in gradient]), model.flat_gradient(flat(model), 3))


def test_the_distances_give_different_steps():
    ends = []
    for distance in DISTANCES:
        model = Quadratic()
        ends.append(hand_run(model.flat_gradient, flat(model), HandSGD(0.05), "bsam", STEPS, {"distance": distance}))
    gaps = [np.abs(one - other).max() for number, one in enumerate(ends) for other in ends[:number]]
    assert min(gaps) > 1e-6
