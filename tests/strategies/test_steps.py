"""Every strategy against its equations worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.components import build_strategy
from flatrec.config import Component
from flatrec.strategies import Learner
from flatrec.training.optimizers import make
from tests.strategies.problems import HandAdam, HandSGD, Network, Quadratic, batch, flat, hand_run

STEPS = 6
DISTANCES = ["manhattan", "manhattan-mean", "euclidean", "cosine", 0.7]
CASES = [
    ("plain", {}),
    ("plain+", {"kappa": 0.3}),
    ("sam", {"rho": 0.2}),
    ("sam+", {"rho": 0.2, "kappa": 0.4}),
    *(("bsam", {"rho": 0.15, "lam": 0.4, "distance": distance}) for distance in DISTANCES),
    *(("bsam+", {"rho": 0.15, "lam": 0.8, "kappa": 0.8, "distance": distance}) for distance in DISTANCES),
    ("bsam+", {}),
]


@pytest.mark.parametrize("problem", [Quadratic, Network])
@pytest.mark.parametrize(("optimizer", "hand"), [("sgd", HandSGD(0.05)), ("adam", HandAdam(0.05))])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_steps_equal_those_worked_by_hand(problem, optimizer, hand, name, settings):
    update = type(hand)(hand.lr)
    model = problem()
    want = hand_run(model.flat_gradient, flat(model), update, name, STEPS, settings)
    learner = Learner(model, make(optimizer, model.parameters(), {"lr": 0.05}))
    strategy = build_strategy(Component(name, settings))
    for step in range(STEPS):
        numbers = [step] if strategy.batches_per_step == 1 else [2 * step, 2 * step + 1]
        strategy.step(learner, *map(batch, numbers))
    assert np.abs(flat(model) - want).max() < 1e-10


def test_the_hand_worked_gradient_of_the_network_is_right():
    model = Network()
    (_,), (gradient,) = Learner(model, torch.optim.SGD(model.parameters())).gradients(batch(3))
    assert np.allclose(np.concatenate([part.flatten() for part in gradient]), model.flat_gradient(flat(model), 3))


def test_the_distances_give_different_steps():
    ends = []
    for distance in DISTANCES:
        model = Quadratic()
        ends.append(hand_run(model.flat_gradient, flat(model), HandSGD(0.05), "bsam", STEPS, {"distance": distance}))
    gaps = [np.abs(one - other).max() for number, one in enumerate(ends) for other in ends[:number]]
    assert min(gaps) > 1e-6
