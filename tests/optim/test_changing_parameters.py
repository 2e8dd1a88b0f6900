"""Groups, perturb and requires_grad may change between steps; what is remembered follows."""

import copy

import pytest
import torch
from torch import nn

from flatrec import optim
from tests.optim.kinds import ALL, adam, loss_of, memory, network, sgd, train, values

REMEMBERING = ["BSAM", "FriendlySAM", "VaSSO"]


def set_perturb(model, optimizer, group, on):  # noqa: ARG001
    optimizer.param_groups[group]["perturb"] = on


def set_trained(model, optimizer, group, on):
    model[0 if group == 0 else -1].requires_grad_(on)
    for one in optimizer.param_groups[group]["params"]:
        one.grad = None


CHANGES = {"perturb": set_perturb, "requires_grad": set_trained}


@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ALL)
def test_every_optimizer_goes_on_when_parameters_leave_and_join(name, change, group):
    model = network()
    optimizer = ALL[name](adam(model))
    train(model, optimizer, range(2))
    for number, on in enumerate((False, True, False)):
        CHANGES[change](model, optimizer, group, on)
        kept = [one.detach().clone() for one in optimizer.param_groups[group]["params"]]
        train(model, optimizer, range(2 * number, 2 * number + 2))
        stayed = all(map(torch.equal, kept, optimizer.param_groups[group]["params"]))
        assert stayed == (change == "requires_grad" and not on)
        assert torch.isfinite(values(model)).all()


def gradients_of(model, seed, places):
    found = torch.autograd.grad(loss_of(model, seed), [one for one in model.parameters() if one.requires_grad])
    found = dict(zip([n for n, one in enumerate(model.parameters()) if one.requires_grad], found, strict=True))
    return {place: found[place] for place in places}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", REMEMBERING)
def test_the_mean_of_those_that_stay_goes_on_and_that_of_those_that_join_begins_at_zero(name, change):
    model = network()
    optimizer = ALL[name](sgd(model))
    share = {"BSAM": 0.4, "FriendlySAM": 0.1, "VaSSO": 0.4}[name]  # of the new gradient
    mean = {}
    for step, there in enumerate([(0, 1, 2, 3), (2, 3), (2, 3), (0, 1, 2, 3), (0, 1)]):
        CHANGES[change](model, optimizer, 0, 0 in there)
        CHANGES[change](model, optimizer, 1, 2 in there)
        found = gradients_of(model, step, there)
        mean = {place: mean.get(place, 0) * (1 - share) + share * found[place] for place in there}
        train(model, optimizer, [step])
        remembered = {key: one for key, one in memory(optimizer).items() if key.startswith("mean")}
        assert remembered.keys() == {f"mean.{place}" for place in there}
        for place in there:
            assert torch.allclose(remembered[f"mean.{place}"], mean[place], atol=1e-6), (step, place)


def test_an_update_after_a_change_is_that_of_the_equations():
    model = network()
    optimizer = optim.VaSSO(sgd(model), rho=0.5, theta=0.4)
    first = gradients_of(model, 0, range(4))
    train(model, optimizer, [0])
    optimizer.param_groups[0]["perturb"] = False
    second, before = gradients_of(model, 1, range(4)), [one.detach().clone() for one in model.parameters()]
    mean = {place: 0.6 * 0.4 * first[place] + 0.4 * second[place] for place in (2, 3)}
    length = torch.cat([one.flatten() for one in mean.values()]).norm()
    twin = network()
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for place, one in enumerate(twin.parameters()):
            one.add_(0.5 * mean[place] / length if place in mean else 0)
    there = gradients_of(twin, 1, range(4))
    train(model, optimizer, [1])
    for place, one in enumerate(model.parameters()):
        assert torch.allclose(one, before[place] - 0.1 * there[place], atol=1e-6)


def test_what_looksam_reuses_is_that_of_parameters_that_are_still_trained():
    model = network()
    optimizer = optim.LookSAM(sgd(model), alpha=0.5, interval=3)
    train(model, optimizer, [0])
    orthogonal = {place: memory(optimizer)[f"orthogonal.{place}"] for place in (2, 3)}
    model[0].requires_grad_(False)
    found, before = gradients_of(model, 1, (2, 3)), [one.detach().clone() for one in model.parameters()]
    longest, kept = (torch.cat([one.flatten() for one in some.values()]).norm() for some in (found, orthogonal))
    train(model, optimizer, [1])
    for place, one in list(enumerate(model.parameters()))[2:]:
        gradient = found[place] + 0.5 * longest / kept * orthogonal[place]
        assert torch.allclose(one, before[place] - 0.1 * gradient, atol=1e-6)


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_a_mask_holds_its_share_after_parameters_left(drop):
    model = network()
    optimizer = optim.SSAM(adam(model), sparsity=0.6, mask="dynamic", refresh=2, drop=drop)
    train(model, optimizer, range(3))
    optimizer.strategy.active = [torch.zeros_like(one) for one in optimizer.strategy.active[:2]] + [
        torch.ones_like(one) for one in optimizer.strategy.active[2:]
    ]
    optimizer.param_groups[0]["perturb"] = False
    train(model, optimizer, range(3))
    active = torch.cat([one.flatten() for one in optimizer.strategy.active])
    assert len(active) == 9
    assert active.sum() == 9 - int(0.6 * 9)


@pytest.mark.parametrize("name", ALL)
def test_a_group_that_is_added_between_steps_is_trained_and_perturbed(name):
    model, head = network(), nn.Linear(1, 1)
    optimizer = ALL[name](adam(model))
    train(model, optimizer, range(2))
    optimizer.add_param_group({"params": list(head.parameters())})
    before = values(head)
    whole = nn.Sequential(model, head)
    train(whole, optimizer, range(2, 5))
    assert (values(head) != before).all()
    vectors = {key.rpartition(".")[2] for key in memory(optimizer) if not key.endswith("steps")}
    assert vectors in (set(), set("012345"))


@pytest.mark.parametrize("name", [*REMEMBERING, "SSAM", "LookSAM"])
def test_a_state_saved_while_some_are_frozen_is_taken_up_again(name):
    def begun():
        model = network()
        optimizer = ALL[name](adam(model))
        train(model, optimizer, range(2))
        model[0].requires_grad_(False)
        return model, optimizer

    model, optimizer = begun()
    train(model, optimizer, range(2, 4))
    again = network()
    again.load_state_dict(model.state_dict())
    again[0].requires_grad_(False)
    other = ALL[name](adam(again))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch shares the moments otherwise
    for one, its in ((model, optimizer), (again, other)):
        one[0].requires_grad_(True)
        train(one, its, range(4, 7))
    assert torch.equal(values(model), values(again))
