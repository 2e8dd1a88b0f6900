"""Optimizers that are copied, pickled or saved whole go on like the original."""

import copy
import io
import pickle

import pytest
import torch

from tests.optim.kinds import ALL, adam, closure_of, memory, network, same, train, values


def saved(pair):
    file = io.BytesIO()
    torch.save(pair, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda pair: pickle.loads(pickle.dumps(pair)), "torch.save": saved}


def trained(name, steps=3):
    model = network()
    optimizer = ALL[name](adam(model))
    train(model, optimizer, range(steps))
    return model, optimizer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ALL)
def test_a_copy_of_model_and_optimizer_goes_on_to_the_same_bits(name, way):
    model, optimizer = trained(name)
    twin, copied = WAYS[way]((model, optimizer))
    before, remembered = values(model), memory(optimizer)
    train(twin, copied, range(3, 7))
    assert torch.equal(values(model), before)
    assert same(memory(optimizer), remembered)
    train(model, optimizer, range(3, 7))
    assert torch.equal(values(twin), values(model))
    assert same(memory(copied), memory(optimizer))
    assert not torch.equal(values(model), before)


@pytest.mark.parametrize("way", [*WAYS.values(), copy.copy])
def test_a_copy_shares_groups_and_state_with_its_own_base(way):
    _, optimizer = trained("BSAM")
    copied = way(optimizer)
    assert copied.param_groups is copied.base.param_groups
    assert copied.state is copied.base.state
    assert copied.state_dict().keys() == optimizer.state_dict().keys()
    copied.zero_grad()
    copied.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    assert len(copied.base.param_groups) == 3


def test_a_shallow_copy_steps_the_same_parameters():
    model, optimizer = trained("BSAM")
    twin, other = trained("BSAM")
    train(model, copy.copy(optimizer), range(3, 5))
    train(twin, other, range(3, 5))
    assert torch.equal(values(model), values(twin))


def test_settings_of_the_loop_come_along():
    from flatrec.optim import SAM

    model = network(torch.nn.BatchNorm1d(8))
    optimizer = SAM(adam(model), rho=0.3, same_dropout_mask=True, model=model)
    twin, copied = copy.deepcopy((model, optimizer))
    assert copied.same_dropout_mask
    assert copied.model is twin
    train(twin, copied, range(2))
    assert twin[1].num_batches_tracked == 2
    assert model[1].num_batches_tracked == 0


def test_a_copy_of_an_optimizer_with_a_scheduler_takes_another():
    model, optimizer = trained("SAM")
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    twin, copied = copy.deepcopy((model, optimizer))
    scheduler = torch.optim.lr_scheduler.StepLR(copied, 1, gamma=0.5)
    copied.step(closure_of(twin, copied))
    scheduler.step()
    assert copied.base.param_groups[0]["lr"] == 0.005
    assert optimizer.base.param_groups[0]["lr"] == 0.01
