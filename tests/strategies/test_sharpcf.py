"""SharpCF over epochs of several steps, and its trajectory loss beside torch's own derivative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.strategies import Mixed, SharpCF
from flatrec.strategies.batch_rows import BatchRows
from flatrec.strategies.contrib.sharpcf import plus_trajectory_gradient
from flatrec.strategies.contrib.trajectory import Tables
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import INTERACTIONS, N_BATCHES, Factors, batch, context_of, flat, rows_of

LR, STEPS = 0.3, 2  # steps of an epoch


def trained(strategy, numbers, model=None):
    model = model or Factors()
    context = context_of(model, torch.optim.SGD(model.parameters(), lr=LR))
    for number in numbers:
        context.progress = number / STEPS
        strategy.step(context, *[batch(number % N_BATCHES)] * strategy.batches_per_step)
    return model


def test_the_gradient_of_the_trajectory_loss_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    table, before, own = (torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    rows = BatchRows(torch.tensor([0, 1, 1, 2, 1]), torch.tensor([3, 4, 5, 4, 4]), torch.empty(5, 0))
    leaf = table.clone().requires_grad_()
    scores, past = ((one[rows.users] * one[rows.positives]).sum(dim=1) for one in (leaf, before))
    (want,) = torch.autograd.grad(0.7 * (scores - past).square().mean(), leaf)
    found = plus_trajectory_gradient(own, 0.7, Tables(table, before), rows)
    assert torch.allclose(found, own + want, atol=1e-12, rtol=0)


@pytest.mark.parametrize("window", [1, 2])
def test_the_past_is_that_of_the_beginning_of_the_epoch(window):
    lam, model = 2.0, Factors()
    theta, begun = flat(model), []
    for number in range(8):
        if number % STEPS == 0:
            begun.append(theta.copy())
        slope = model.flat_gradient(theta, number).reshape(-1, 2)
        if number // STEPS >= window:
            nodes, before = (one.reshape(-1, 2) for one in (theta, begun[number // STEPS - window]))
            for user, positive, _ in rows_of(number):
                gap = nodes[user] @ nodes[positive] - before[user] @ before[positive]
                slope[user] += lam * 2 * gap * nodes[positive] / INTERACTIONS
                slope[positive] += lam * 2 * gap * nodes[user] / INTERACTIONS
        theta = theta - LR * slope.ravel()
    strategy = SharpCF(lam=lam, window=window)
    assert np.abs(flat(trained(strategy, range(8))) - theta).max() < 1e-10
    assert len(strategy.past) == window + 1
    assert not np.allclose(flat(trained(SharpCF(lam=0.0), range(8))), theta, atol=1e-3)


def test_what_is_kept_is_no_view_of_the_parameters_and_is_not_kept_without_weight():
    strategy = SharpCF(window=1)
    model = trained(strategy, range(3))
    assert torch.equal(strategy.past[0][0], Factors().nodes)
    assert not torch.equal(strategy.past[1][0], model.nodes)
    idle = SharpCF(lam=0.0)
    trained(idle, range(3))
    assert idle.past == []


def test_mixing_pulls_the_first_batch_alone():
    alone, mixed = (
        trained(one, range(4)) for one in (SharpCF(lam=2.0, window=1), Mixed(SharpCF(lam=2.0, window=1), kappa=1.0))
    )
    assert torch.equal(alone.nodes, mixed.nodes)


def test_parameters_are_refused_in_one_line():
    model = Factors()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=LR))
    with pytest.raises(ValueError, match="SharpCF needs the users and items .* training.perturb_target") as caught:
        SharpCF().step(context, batch(0))
    assert "\n" not in str(caught.value)
