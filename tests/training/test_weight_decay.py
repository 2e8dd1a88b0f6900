"""Decoupled weight decay before the step of any base optimizer."""

import pytest
import torch

from flatrec.training.optimizers import config_class, make, names, settings
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import Quadratic, batch, flat


def context_of(optimizer_class, model, weight, **options):
    return TrainStepContext(model, optimizer_class(model.parameters(), **options), weight_decay=weight)


def train(context, n_steps=20):
    for step in range(n_steps):
        _, (gradient,) = context.gradients(batch(step % 2))
        context.update(gradient)
    return flat(context.model)


@pytest.mark.parametrize("fused", [False, True])
def test_adam_with_decay_is_adamw_of_torch(fused):
    ours = train(context_of(torch.optim.Adam, Quadratic(), 0.3, lr=0.05, fused=fused))
    theirs = train(context_of(torch.optim.AdamW, Quadratic(), 0.0, lr=0.05, weight_decay=0.3, fused=fused))
    without = train(context_of(torch.optim.Adam, Quadratic(), 0.0, lr=0.05, fused=fused))
    assert ours.dtype.itemsize == 8
    assert ours == pytest.approx(theirs, abs=1e-10, rel=0)
    assert abs(ours - without).max() > 1e-3


def test_a_step_of_sgd_is_as_worked_by_hand():
    # x <- (1 - 0.5 * 0.2) x - 0.5 g
    model = Quadratic()
    context = context_of(torch.optim.SGD, model, 0.2, lr=0.5)
    before = flat(model)
    _, (gradient,) = context.gradients(batch(0))
    g = torch.cat([tensor.flatten() for tensor in gradient]).numpy()
    context.update(gradient)
    assert flat(model) == pytest.approx(0.9 * before - 0.5 * g, abs=1e-10, rel=0)


def test_the_decay_follows_the_learning_rate_of_each_group():
    model = Quadratic()
    optimizer = torch.optim.SGD([{"params": [one], "lr": 0.5} for one in model.parameters()], lr=1.0)
    context = TrainStepContext(model, optimizer, weight_decay=0.2)
    optimizer.param_groups[0]["lr"] = 0.25  # as a schedule sets it
    before = [one.detach().clone() for one in context.params]
    context.update([torch.zeros_like(one) for one in context.params])
    for parameter, value, factor in zip(context.params, before, [0.95] + [0.9] * (len(before) - 1), strict=True):
        torch.testing.assert_close(parameter.detach(), factor * value, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", sorted(names().keys() - {"muon"}))  # it takes matrices alone
def test_every_base_optimizer_steps_from_the_shrunk_parameters(name):
    def stepped(weight, shrink):
        model = Quadratic()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(shrink)
        options = {"weight_decay": 0.0} if "weight_decay" in config_class(name).model_fields else {}
        config = settings(name, {"lr": 0.125, **options})
        context = TrainStepContext(model, make(name, model.parameters(), config), weight_decay=weight)
        context.update([torch.full_like(one, 0.25) for one in context.params])
        return flat(model)

    assert stepped(0.5, 1.0) == pytest.approx(stepped(0.0, 1 - 0.125 * 0.5), abs=1e-10, rel=0)


def test_weight_zero_changes_no_bit():
    with_zero = train(context_of(torch.optim.Adam, Quadratic(), 0.0, lr=0.05))
    model = Quadratic()
    context = TrainStepContext(model, torch.optim.Adam(model.parameters(), lr=0.05))
    assert (with_zero == train(context)).all()
