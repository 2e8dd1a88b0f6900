"""first_step and second_step: every guarantee of step(closure), in loops that call backward themselves."""

import copy
import pickle

import pytest
import torch
from torch import nn

from flatrec import optim
from flatrec.optim import BSAM, SAM, MirrorGradient, Mixed, NonFiniteGradientError
from tests.optim.kinds import ALL, TWO_PASS, adam, loss_of, memory, network, same, sgd, train, values


def step(model, optimizer, seed=0, factors=(1.0, 1.0)):
    (loss_of(model, seed) * factors[0]).backward()
    optimizer.first_step(zero_grad=True)
    (loss_of(model, seed) * factors[1]).backward()
    optimizer.second_step(zero_grad=True)


def halfway(model, optimizer):
    loss_of(model).backward()
    optimizer.first_step()


@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("base", [adam, sgd])
@pytest.mark.parametrize("name", TWO_PASS)
def test_the_numbers_are_those_of_closures_bit_for_bit(name, base, interval):
    settings = {} if name == "LookSAM" else {"interval": interval}
    (one, its), (other, others) = ((made, TWO_PASS[name](base(made), **settings)) for made in (network(), network()))
    for seed in range(6):
        train(one, its, [seed])
        step(other, others, seed)
        assert torch.equal(values(one), values(other))
        assert same(memory(its), memory(others))
    assert not torch.equal(values(one), values(network()))


@pytest.mark.parametrize("name", sorted(set(ALL) - set(TWO_PASS)))
def test_those_of_another_shape_refuse_in_one_line(name):
    model = network()
    optimizer = ALL[name](adam(model))
    loss_of(model).backward()
    with pytest.raises(TypeError, match=r"use step\(closure\)$"):
        optimizer.first_step()


def test_parameters_are_moved_between_and_restored_bit_for_bit():
    model = network()
    optimizer = SAM(sgd(model, lr=0.0), rho=0.3)
    before = values(model)
    halfway(model, optimizer)
    assert optimizer.perturbed
    assert float((values(model) - before).norm()) == pytest.approx(0.3, rel=1e-5)
    assert all(one.grad is None for one in model.parameters())
    loss_of(model).backward()
    optimizer.second_step()
    assert torch.equal(values(model), before)
    assert not optimizer.perturbed
    assert all(one.grad is not None for one in model.parameters())


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("interval", [1, 2])
def test_running_statistics_count_a_batch_once(interval, named):
    model, twin = network(nn.BatchNorm1d(8)), network(nn.BatchNorm1d(8))
    optimizer = BSAM(sgd(model), rho=0.5, interval=interval, model=model if named else None)
    other = BSAM(sgd(twin), rho=0.5, interval=interval)
    for seed in range(3):
        step(model, optimizer, seed)
        train(twin, other, [seed])
        assert model[1].num_batches_tracked == seed + 1
    assert torch.equal(model[1].running_mean, twin[1].running_mean)
    assert torch.equal(model[1].running_var, twin[1].running_var)


def test_where_no_perturbation_is_due_parameters_stay_and_the_second_pass_may_be_left_out():
    model, twin = network(nn.Dropout(0.5)), network(nn.Dropout(0.5))
    optimizer, base = SAM(adam(model), interval=2), adam(twin)
    before = values(model)
    torch.manual_seed(5)
    loss_of(model).backward()
    optimizer.first_step(zero_grad=True)
    assert not optimizer.perturbed
    assert torch.equal(values(model), before)
    optimizer.second_step(zero_grad=True)
    torch.manual_seed(5)
    loss_of(twin).backward()
    base.step()
    assert torch.equal(values(model), values(twin))
    halfway(model, optimizer)
    assert optimizer.perturbed


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", TWO_PASS)
def test_a_gradient_that_is_not_finite_changes_nothing(name, which):
    model = network()
    optimizer = TWO_PASS[name](adam(model))
    train(model, optimizer, range(4))
    twin, other = copy.deepcopy((model, optimizer))
    factors = [1.0, 1.0]
    factors[which] = float("nan")
    before, remembered = values(model), memory(optimizer)
    with pytest.raises(NonFiniteGradientError):
        step(model, optimizer, 4, factors)
    assert torch.equal(values(model), before)
    assert same(memory(optimizer), remembered)
    optimizer.zero_grad()
    for seed in (4, 5):
        step(model, optimizer, seed)
        step(twin, other, seed)
    assert torch.equal(values(model), values(twin))


def test_running_statistics_come_back_where_the_second_gradient_is_not_finite():
    model = network(nn.BatchNorm1d(8))
    optimizer = SAM(sgd(model))
    with pytest.raises(NonFiniteGradientError):
        step(model, optimizer, 0, (1.0, float("inf")))
    assert model[1].num_batches_tracked == 1


def test_unperturbed_groups_stay_and_radii_by_group_hold():
    model, twin = network(), network()
    optimizer, other = (BSAM(sgd(one), rho=0.2) for one in (model, twin))
    for one in (optimizer, other):
        one.param_groups[0]["perturb"] = False
    before = values(model[0]), values(model[-1])
    halfway(model, optimizer)
    assert torch.equal(values(model[0]), before[0])
    assert float((values(model[-1]) - before[1]).norm()) == pytest.approx(0.2, rel=1e-5)
    loss_of(model).backward()
    optimizer.second_step(zero_grad=True)
    train(twin, other, [0])
    assert torch.equal(values(model), values(twin))


@pytest.mark.parametrize("early", [True, False])
def test_zero_grad_may_be_left_to_the_caller(early):
    model, twin = network(), network()
    optimizer, other = SAM(adam(model)), SAM(adam(twin))
    for seed in range(2):
        optimizer.zero_grad()
        loss_of(model, seed).backward()
        optimizer.first_step()
        if early:
            optimizer.zero_grad()
        loss_of(model, seed).backward()
        optimizer.second_step()
    train(twin, other, range(2))
    assert torch.equal(values(model), values(twin))


MEANWHILE = {
    "first_step": lambda model, optimizer: halfway(model, optimizer),
    "step(closure)": lambda model, optimizer: train(model, optimizer, [0]),
    "state_dict": lambda _, optimizer: optimizer.state_dict(),
    "load_state_dict": lambda model, optimizer: optimizer.load_state_dict(SAM(adam(model)).state_dict()),
    "copying": lambda _, optimizer: copy.copy(optimizer),
    "copying ": lambda _, optimizer: copy.deepcopy(optimizer),
    "copying  ": lambda _, optimizer: pickle.dumps(optimizer),
    "adding a group": lambda _, optimizer: optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]}),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_makes_no_sense_between_the_two_is_refused_and_the_step_goes_on(what):
    model, twin = network(), network()
    optimizer, other = SAM(adam(model)), SAM(adam(twin))
    halfway(model, optimizer)
    with pytest.raises(RuntimeError, match=rf"^{what.strip().replace('(', '.').replace(')', '.')}.*give_up first$"):
        MEANWHILE[what](model, optimizer)
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.second_step()
    train(twin, other, [0])
    assert torch.equal(values(model), values(twin))


def test_second_step_alone_and_passes_without_backward_are_refused():
    model = network()
    optimizer = BSAM(adam(model))
    with pytest.raises(RuntimeError, match="call first_step before it"):
        optimizer.second_step()
    with pytest.raises(RuntimeError, match="backward"):
        optimizer.first_step()
    before = values(model)
    halfway(model, optimizer)
    with pytest.raises(RuntimeError, match="backward"):
        optimizer.second_step()
    assert torch.equal(values(model), before)
    assert memory(optimizer).keys() == {"steps"}
    with pytest.raises(RuntimeError, match="call first_step before it"):
        optimizer.second_step()


def test_a_step_can_be_given_up_in_between():
    model = network()
    optimizer = BSAM(adam(model))
    step(model, optimizer)
    before, remembered = values(model), memory(optimizer)
    halfway(model, optimizer)
    optimizer.give_up()
    optimizer.give_up()
    assert torch.equal(values(model), before)
    assert same(memory(optimizer), remembered)
    assert not optimizer.perturbed
    step(model, optimizer, 1)


def test_schedulers_and_hooks_see_one_step():
    model, calls = network(), []
    optimizer = SAM(adam(model))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    step(model, optimizer)
    scheduler.step()  # would warn, which is an error here, if it had seen no step
    assert calls == ["after"]
    assert optimizer.base.param_groups[0]["lr"] == 0.005


def test_step_without_a_closure_is_the_second_step():
    model, twin = network(), network()
    optimizer, other = SAM(adam(model)), SAM(adam(twin))
    halfway(model, optimizer)
    loss_of(model).backward()
    assert optimizer.step() is None
    step(twin, other)
    assert torch.equal(values(model), values(twin))


def test_gradients_may_be_accumulated_over_portions():
    model, twin = network(), network()
    optimizer, other = SAM(sgd(model)), SAM(sgd(twin))
    for each in (optimizer.first_step, optimizer.second_step):
        for seed in range(2):
            (loss_of(model, seed) / 2).backward()
        each()

    def closure():
        other.zero_grad()
        loss = (loss_of(twin, 0) + loss_of(twin, 1)) / 2
        loss.backward()
        return loss

    other.step(closure)
    assert torch.allclose(values(model), values(twin), atol=1e-6)


def test_the_same_noise_cannot_be_had_and_is_refused():
    model = network(nn.Dropout(0.5))
    optimizer = SAM(adam(model), same_dropout_mask=True)
    loss_of(model).backward()
    with pytest.raises(TypeError, match="same_dropout_mask"):
        optimizer.first_step()


def test_sparse_gradients_are_refused_and_nothing_is_left_half_done():
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = optim.SAM(torch.optim.SGD(table.parameters(), lr=0.1))
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(TypeError, match="sparse"):
        optimizer.first_step()
    assert optimizer.state_dict()


def test_others_say_what_they_are():
    for optimizer in (MirrorGradient(adam(network())), Mixed(SAM(adam(network())))):
        with pytest.raises(RuntimeError, match="call first_step before it"):
            optimizer.second_step()
