"""States that do not fit are refused in one line, and change nothing."""

import copy

import pytest
import torch
from torch import nn

from flatrec.optim import BSAM, SAM, SSAM, LookSAM
from tests.optim.kinds import ALL, adam, network, train, values

BASES = {
    "adam": lambda params: torch.optim.Adam(params, lr=0.01, amsgrad=True),
    "fused": lambda params: torch.optim.AdamW(params, lr=0.01, fused=True),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.01, momentum=0.9),
    "adafactor": lambda params: torch.optim.Adafactor(params, lr=0.01),
    "rprop": lambda params: torch.optim.Rprop(params, lr=0.01),
    "asgd": lambda params: torch.optim.ASGD(params, lr=0.01),
    "nadam": lambda params: torch.optim.NAdam(params, lr=0.01),
}


def trained(base, make=BSAM, model=None):
    model = model or network()
    optimizer = make(base(model.parameters()))
    train(model, optimizer, range(2))
    return model, optimizer


@pytest.mark.parametrize("base", BASES.values())
def test_a_state_of_its_own_is_taken_and_goes_on(base):
    model, optimizer = trained(base)
    twin = network()
    twin.load_state_dict(model.state_dict())
    other = BSAM(base(twin.parameters()))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((model, optimizer), (twin, other)):
        train(one, its, range(2, 5))
    assert torch.equal(values(model), values(twin))


@pytest.mark.parametrize("base", BASES.values())
def test_a_state_of_another_width_is_refused_and_changes_nothing(base):
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 1))
    _, other = trained(base, model=wide)
    model, optimizer = trained(base)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="another model") as caught:
        optimizer.load_state_dict(other.state_dict())
    assert "\n" not in str(caught.value)
    after = optimizer.state_dict()
    assert str(before) == str(after)


def test_a_state_of_other_groups_is_refused():
    _, other = trained(lambda params: torch.optim.SGD(params, lr=0.1), model=nn.Sequential(nn.Linear(4, 1)))
    _, optimizer = trained(lambda params: torch.optim.SGD(params, lr=0.1))
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters"):
        optimizer.load_state_dict(other.state_dict())


@pytest.mark.parametrize("missing", ["state", "param_groups"])
def test_half_a_state_is_refused(missing):
    _, optimizer = trained(BASES["adam"])
    state = optimizer.state_dict()
    del state[missing]
    with pytest.raises(ValueError, match="what state_dict"):
        optimizer.load_state_dict(state)


def crafted(key, value):
    return lambda state: {**state, "strategy": {**state["strategy"], key: value}}


CRAFTED = {
    "shape": (BSAM, crafted("mean.0", torch.zeros(3, 4)), r"'mean.0' must have shape \(8, 4\)"),
    "size": (BSAM, crafted("mean.1", torch.zeros(8, 1)), r"'mean.1' must have shape \(8,\)"),
    "type": (BSAM, crafted("mean.0", torch.zeros(8, 4, dtype=torch.float64)), "type torch.float32"),
    "mask": (SSAM, crafted("active.0", torch.zeros(8, 4)), "type torch.bool"),
    "number": (BSAM, crafted("mean.4", torch.zeros(1)), "no field for 'mean.4'"),
    "name": (SAM, crafted("mean.0", torch.zeros(8, 4)), "no field for 'mean.0'"),
    "odd": (BSAM, crafted("mean.00", torch.zeros(8, 4)), "no field for 'mean.00'"),
    "steps": (LookSAM, crafted("steps", torch.tensor([3])), "'steps' must be a single whole number"),
    "negative": (LookSAM, crafted("steps", torch.tensor(-1)), "'steps' must be a single whole number"),
    "float": (LookSAM, crafted("steps", torch.tensor(1.0)), "'steps' must be a single whole number"),
    "orthogonal": (LookSAM, crafted("orthogonal.2", torch.zeros(2, 8)), r"'orthogonal.2' must have shape \(1, 8\)"),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_memory_that_does_not_fit_is_refused_and_changes_nothing(what):
    make, craft, said = CRAFTED[what]
    model, optimizer = trained(BASES["adam"], make)
    before = str(optimizer.state_dict())
    with pytest.raises(ValueError, match=said) as caught:
        optimizer.load_state_dict(craft(copy.deepcopy(optimizer.state_dict())))
    assert "\n" not in str(caught.value)
    assert str(optimizer.state_dict()) == before
    train(model, optimizer, [2])


def test_a_memory_without_its_count_is_refused():
    _, optimizer = trained(BASES["adam"])
    state = optimizer.state_dict()
    del state["strategy"]["steps"]
    with pytest.raises(ValueError, match="'steps' must be"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize("name", ALL)
def test_a_state_survives_a_file_read_without_unpickling(name, tmp_path):
    model = network()
    optimizer = ALL[name](adam(model))
    train(model, optimizer, range(3))
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    twin = network()
    twin.load_state_dict(model.state_dict())
    other = ALL[name](adam(twin))
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for one, its in ((model, optimizer), (twin, other)):
        train(one, its, range(3, 6))
    assert torch.equal(values(model), values(twin))
