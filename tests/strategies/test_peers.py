"""Strategies that another library has too, beside its."""

import numpy as np
import pytest
import pytorch_optimizer
import torch

from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import N_BATCHES, Network, Quadratic, batch, flat

STEPS = 20
BASES = {"momentum": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}), "adam": (torch.optim.Adam, {"lr": 0.02})}


def ours(model, name, settings, base, options):
    context = TrainStepContext(model, base(model.parameters(), **options))
    strategy = build_strategy(Component(name, settings))
    for step in range(STEPS):
        strategy.step(context, batch(step % N_BATCHES))
    return flat(model)


def theirs(model, optimizer):
    for step in range(STEPS):

        def closure(number=step % N_BATCHES):
            loss = model.loss(model.encode(), batch(number))
            loss.backward()
            return loss

        closure()
        optimizer.step(closure)
        optimizer.zero_grad()
    return flat(model)


@pytest.mark.parametrize("problem", [Quadratic, Network])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("name", "settings", "options"),
    [("sam", {"rho": 0.1}, {"rho": 0.1}), ("asam", {"rho": 0.3, "eta": 0.0}, {"rho": 0.3, "adaptive": True})],
)
def test_twenty_steps_equal_those_of_pytorch_optimizer(problem, base, name, settings, options):
    kind, base_options = BASES[base]
    model = problem()
    peer = theirs(model, pytorch_optimizer.SAM(model.parameters(), kind, **options, **base_options))
    assert np.abs(ours(problem(), name, settings, kind, base_options) - peer).max() < 1e-6
    assert np.abs(peer - flat(problem())).max() > 1e-2


def test_friendly_sam_differs_by_when_the_mean_is_brought_up_to_date():
    # There m is taken off before the batch enters it, and nothing in the first step; by hand, on flat vectors:
    model, lr, rho, lam = Quadratic(), 0.05, 0.1, 0.9
    theta, mean = flat(model), None
    for step in range(STEPS):
        gradient = model.flat_gradient(theta, step % N_BATCHES)
        direction = gradient if mean is None else gradient - mean
        mean = gradient if mean is None else lam * mean + (1 - lam) * gradient
        eps = rho * direction / np.sqrt(direction @ direction)
        theta = theta - lr * model.flat_gradient(theta + eps, step % N_BATCHES)
    peer = theirs(
        model, pytorch_optimizer.FriendlySAM(model.parameters(), torch.optim.SGD, rho=rho, sigma=1.0, lmbda=lam, lr=lr)
    )
    assert np.abs(theta - peer).max() < 1e-6
    paper = ours(Quadratic(), "friendlysam", {"rho": rho, "sigma": 1.0, "lam": lam}, torch.optim.SGD, {"lr": lr})
    assert np.abs(paper - peer).max() > 1e-4
