"""Every strategy against its equations worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.training.optimizers import make
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import (
    HandAdagrad,
    HandAdam,
    HandMomentum,
    HandRMSprop,
    HandSGD,
    Network,
    Quadratic,
    batch,
    flat,
    hand_run,
)

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
    ("asam", {"rho": 0.3, "eta": 0.05}),
    ("asam+", {"rho": 0.3, "kappa": 0.7}),
    ("fishersam", {"rho": 0.2, "eta": 0.4}),
    ("fishersam+", {"rho": 0.2, "kappa": 0.3}),
    ("friendlysam", {"rho": 0.2, "sigma": 0.8, "lam": 0.7}),
    ("friendlysam+", {"rho": 0.2}),
    ("vasso", {"rho": 0.2, "theta": 0.3}),
    ("vasso+", {"rho": 0.2}),
    ("gsam", {"rho": 0.2, "alpha": 0.3}),
    ("gsam+", {"rho": 0.2}),
    ("gnp", {"rho": 0.2, "alpha": 0.4}),
    ("gnp+", {"rho": 0.2}),
    ("looksam", {"rho": 0.2, "alpha": 0.5, "interval": 2}),
    ("looksam+", {"rho": 0.2, "interval": 3}),
    ("ssam", {"rho": 0.2, "sparsity": 0.4, "refresh": 2}),
    ("ssam", {"rho": 0.2, "sparsity": 0.7, "mask": "dynamic", "refresh": 2, "drop": 0.6}),
    ("ssam+", {"rho": 0.2}),
    ("ssam+", {"rho": 0.2, "mask": "dynamic", "refresh": 1}),
    ("esam", {"rho": 0.2, "beta": 0.7}),
    ("esam+", {"rho": 0.2}),
    ("mg", {"alpha1": 1.2, "alpha2": 0.3, "interval": 2}),
    ("mg", {}),
]
OPTIMIZERS = {
    "sgd": (HandSGD, {}),
    "momentum": (HandMomentum, {"momentum": 0.9}),
    "adam": (HandAdam, {}),
    "rmsprop": (HandRMSprop, {}),
    "adagrad": (HandAdagrad, {}),
}


@pytest.mark.parametrize("problem", [Quadratic, Network])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_steps_equal_those_worked_by_hand(problem, optimizer, name, settings):
    hand, options = OPTIMIZERS[optimizer]
    model = problem()
    # After one step, after three, and after some more.
    want = [hand_run(model.flat_gradient, flat(model), hand(0.05), name, steps, settings) for steps in (1, 3, STEPS)]
    kind = "sgd" if optimizer == "momentum" else optimizer
    context = TrainStepContext(model, make(kind, model.parameters(), {"lr": 0.05, **options}))
    strategy = build_strategy(Component(name, settings))
    for step in range(STEPS):
        numbers = [step] if strategy.batches_per_step == 1 else [2 * step, 2 * step + 1]
        strategy.step(context, *map(batch, numbers))
        if step + 1 in (1, 3, STEPS):
            assert np.abs(flat(model) - want.pop(0)).max() < 1e-10


def test_every_strategy_is_worked_by_hand():
    assert {name for name, _ in CASES} == set(strategy_names())


def test_the_hand_worked_gradient_of_the_network_is_right():
    model = Network()
    (_,), (gradient,) = TrainStepContext(model, torch.optim.SGD(model.parameters())).gradients(batch(3))
    assert np.allclose(np.concatenate([part.flatten() for part in gradient]), model.flat_gradient(flat(model), 3))


def test_the_distances_give_different_steps():
    ends = []
    for distance in DISTANCES:
        model = Quadratic()
        ends.append(hand_run(model.flat_gradient, flat(model), HandSGD(0.05), "bsam", STEPS, {"distance": distance}))
    gaps = [np.abs(one - other).max() for number, one in enumerate(ends) for other in ends[:number]]
    assert min(gaps) > 1e-6
