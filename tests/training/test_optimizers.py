"""Base optimizers by name."""

from __future__ import annotations

import pytest
import torch

from flatrec.training import optimizers


def parameter():
    return torch.nn.Parameter(torch.ones(3))


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad", "sgd"])
def test_the_papers_optimizers_step(name):
    one = parameter()
    optimizer = optimizers.make(name, [one], optimizers.settings(name, {"lr": 0.1}))
    one.grad = torch.ones(3)
    optimizer.step()
    assert (one < 1).all()


def test_every_listed_optimizer_can_be_made():
    for name in optimizers.names():
        shape = torch.ones(3, 3) if name == "muon" else torch.ones(3)  # muon takes matrices only
        assert optimizers.make(name, [torch.nn.Parameter(shape)], optimizers.settings(name, {})).param_groups


def test_optimizers_that_need_a_closure_or_sparse_gradients_are_not_listed():
    assert not {"lbfgs", "sparseadam", "optimizer"} & set(optimizers.names())


def test_fused_is_on_unless_something_else_is_asked_for():
    assert optimizers.settings("adam", {}).fused is True
    assert optimizers.settings("adam", {"fused": False}).fused is False
    assert not optimizers.settings("adam", {"foreach": True}).fused


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adagrad"])
def test_an_update_is_fused_only_on_devices_that_torch_fuses_it_for(name):
    options = {"lr": 0.1, "fused": True}
    assert optimizers.make(name, [parameter()], optimizers.settings(name, options)).defaults["fused"] is True
    elsewhere = torch.nn.Parameter(torch.ones(3, device="meta"))
    assert not optimizers.make(name, [elsewhere], optimizers.settings(name, options)).defaults["fused"]


def test_lists_of_numbers_become_tuples():
    assert optimizers.make("adam", [parameter()], optimizers.settings("adam", {"betas": [0.8, 0.9]})).defaults[
        "betas"
    ] == (0.8, 0.9)


def test_frozen_parameters_are_left_out():
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    assert (
        len(optimizers.make("sgd", [parameter(), frozen], optimizers.settings("sgd", {})).param_groups[0]["params"])
        == 1
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("addam", {}, "did you mean adam"),
        ("adam", {"lrr": 0.1}, "did you mean lr"),
        ("adam", {"lr": "fast"}, "optimizer.lr.*'fast'"),
        ("adam", {"lr": -1.0}, "Invalid learning rate"),
        ("sgd", {"nesterov": True}, "optimizer sgd"),
    ],
)
def test_bad_settings_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        optimizers.make(name, [parameter()], optimizers.settings(name, options))
