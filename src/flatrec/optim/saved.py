"""States of base optimizers, checked before they are loaded: torch takes any shape, and some kernels trust it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def check_base_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Compare the shapes in a state with those that the optimizer itself makes, in a step of a copy.

    Raises:
        ValueError: the groups or a shape are those of other parameters or of another optimizer.
    """
    groups, entries = state.get("param_groups"), state.get("state")
    if not isinstance(groups, list) or not isinstance(entries, Mapping):
        raise ValueError("the state has no param_groups and state; give what state_dict() of this optimizer returned")
    sizes = [len(group["params"]) for group in groups]
    wanted = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != wanted:
        raise ValueError(
            f"the state is that of groups of {sizes} parameters, but the optimizer has groups of {wanted}; load the "
            "state of the same model, its groups made as before"
        )
    if entries:
        _check_entries(_stepped(optimizer, groups), [key for group in groups for key in group["params"]], entries)


def _stepped(optimizer: Optimizer, groups: list[dict[str, Any]]) -> Optimizer:
    """A copy that has taken a step with gradients of zero under the saved settings."""
    twin = copy.deepcopy(optimizer)
    twin.load_state_dict({"state": {}, "param_groups": groups})
    for group in twin.param_groups:
        for one in group["params"]:
            one.grad = torch.zeros_like(one)
    twin.step()
    return twin


def _check_entries(twin: Optimizer, numbers: list[object], entries: Mapping[Any, Any]) -> None:
    parameters = dict(zip(numbers, (one for group in twin.param_groups for one in group["params"]), strict=True))
    for number, entry in entries.items():
        if number not in parameters or not isinstance(entry, Mapping):
            raise ValueError(f"the state has an entry {number!r}, which is no parameter's; load that of the same model")
        parameter = parameters[number]
        for key, value in entry.items():
            own = twin.state[parameter].get(key, parameter)
            wanted = own.shape if isinstance(own, Tensor) else parameter.shape
            if isinstance(value, Tensor) and value.shape != wanted:
                raise ValueError(
                    f"the state is that of another model: {key} of parameter {number} has shape {tuple(value.shape)}, "
                    f"but must have {tuple(wanted)}"
                )
