"""The optimizers beside the strategies they are made of, and the step that torch's own optimizer would make."""

import numpy as np
import pytest
import torch

from flatrec import optim
from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy
from flatrec.strategies import ON_EMBEDDINGS, STRATEGIES
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import Network, Quadratic, batch, flat

pytestmark = pytest.mark.repeats

BASES = {
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda params: torch.optim.Adam(params, lr=0.05, foreach=True),
    "fused adamw": lambda params: torch.optim.AdamW(params, lr=0.05, fused=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.05),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.05),
}
OPTIMIZERS = {
    name: getattr(optim, entry.class_name) for name, entry in STRATEGIES.entries.items() if name not in ON_EMBEDDINGS
}


def closure_of(model, optimizer, number):
    def closure():
        optimizer.zero_grad()
        loss = model.loss(model.encode(), batch(number))
        loss.backward()
        return loss

    return closure


def test_every_other_strategy_has_its_optimizer():
    for name, kind in OPTIMIZERS.items():
        assert kind.__name__ == STRATEGIES[name].__name__
        assert kind.__name__ in optim.__all__
        assert kind.__name__ in dir(optim)
        assert getattr(optim, kind.__name__) is kind


def test_a_name_that_no_strategy_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'NoSAM'"):
        optim.NoSAM  # noqa: B018


@pytest.mark.parametrize("name", ON_EMBEDDINGS)
def test_a_strategy_that_needs_users_and_items_has_no_optimizer_and_says_where_it_trains(name):
    kind = ON_EMBEDDINGS.entries[name].class_name
    message = f"{kind} needs the users and items .* strategy {name} and training.perturb_target = embeddings$"
    with pytest.raises(AttributeError, match=message):
        getattr(optim, kind)
    assert kind not in dir(optim)


@pytest.mark.parametrize("problem", [Quadratic, Network])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_those_of_the_strategy(problem, base, name):
    if "fused" in base and name == "mg":
        pytest.skip("the first of two updates in a step is enough for this base")
    model, twin = problem(), problem()
    optimizer = OPTIMIZERS[name](BASES[base](model.parameters()))
    strategy, context = build_strategy(Component(name)), TrainStepContext(twin, BASES[base](twin.parameters()))
    for step in range(5):
        loss = optimizer.step(closure_of(model, optimizer, step))
        assert loss == pytest.approx(float(strategy.step(context, batch(step))), abs=1e-6)
        assert np.abs(flat(model) - flat(twin)).max() < 1e-12


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "mg"])
def test_mixed_steps_equal_those_of_the_plus_form(name):
    model, twin = Network(), Network()
    optimizer = optim.Mixed(OPTIMIZERS[name](BASES["adam"](model.parameters())), kappa=0.3)
    strategy = build_strategy(Component(f"{name}+", {"kappa": 0.3}))
    context = TrainStepContext(twin, BASES["adam"](twin.parameters()))
    for step in range(4):
        optimizer.step(closure_of(model, optimizer, 2 * step), closure_of(model, optimizer, 2 * step + 1))
        strategy.step(context, batch(2 * step), batch(2 * step + 1))
        assert np.abs(flat(model) - flat(twin)).max() < 1e-12


def test_defaults_are_those_of_the_strategy():
    for name, make in OPTIMIZERS.items():
        optimizer = make(BASES["adam"](Quadratic().parameters()))
        assert repr(optimizer.strategy) == repr(build_strategy(Component(name)))


@pytest.mark.parametrize("name", ["sam", "bsam", "asam", "gsam"])
def test_maximize_climbs_where_minimizing_descends(name):
    model, mirrored = Network(), Network()
    down = OPTIMIZERS[name](torch.optim.SGD(model.parameters(), lr=0.05), rho=0.2)
    up = OPTIMIZERS[name](torch.optim.SGD(mirrored.parameters(), lr=0.05, maximize=True), rho=0.2)
    for step in range(4):
        down.step(closure_of(model, down, step))

        def negated(number=step):
            up.zero_grad()
            loss = -mirrored.loss(mirrored.encode(), batch(number))
            loss.backward()
            return loss

        up.step(negated)
    assert np.abs(flat(model) - flat(mirrored)).max() < 1e-12


def test_radii_by_group_are_what_the_parameters_move_by():
    model = Network()
    optimizer = optim.SAM(
        torch.optim.SGD([{"params": [model.hidden], "rho": 0.3}, {"params": [model.output]}], lr=0.1), rho=0.1
    )
    start = {"hidden": model.hidden.detach().clone(), "output": model.output.detach().clone()}
    moved = {}

    def closure():
        optimizer.zero_grad()
        loss = model.loss(model.encode(), batch(0))
        loss.backward()
        if optimizer.perturbed:
            moved.update({name: (getattr(model, name).detach() - start[name]) for name in start})
        else:
            moved["gradient"] = {name: getattr(model, name).grad.clone() for name in start}
        return loss

    optimizer.step(closure)
    length = torch.cat([one.flatten() for one in moved["gradient"].values()]).norm()
    assert torch.allclose(moved["hidden"], 0.3 * moved["gradient"]["hidden"] / length)
    assert torch.allclose(moved["output"], 0.1 * moved["gradient"]["output"] / length)


def test_unperturbed_groups_stay_and_do_not_count_but_are_trained():
    model = Network()
    optimizer = optim.BSAM(
        torch.optim.SGD([{"params": [model.hidden], "perturb": False}, {"params": [model.output]}], lr=0.1), rho=0.2
    )
    hidden, output, seen = model.hidden.detach().clone(), model.output.detach().clone(), []

    def closure():
        optimizer.zero_grad()
        loss = model.loss(model.encode(), batch(0))
        loss.backward()
        if optimizer.perturbed:
            seen.append((torch.equal(model.hidden, hidden), float((model.output.detach() - output).norm())))
        return loss

    optimizer.step(closure)
    assert seen == [(True, pytest.approx(0.2))]
    assert not torch.equal(model.hidden, hidden)
    assert len(optimizer.strategy.mean) == 1


def test_every_radius_zero_is_the_base_optimizer():
    model, twin = Network(), Network()
    optimizer = optim.SAM(BASES["adam"](model.parameters()), rho=0.3)
    for group in optimizer.param_groups:
        group["rho"] = 0.0
    plain = BASES["adam"](twin.parameters())
    for step in range(3):
        optimizer.step(closure_of(model, optimizer, step))
        plain.step(closure_of(twin, plain, step))
    assert np.array_equal(flat(model), flat(twin))
